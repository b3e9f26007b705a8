// Where a text that changes now and then is kept: passwords, above all.
import { readFile, stat } from 'node:fs/promises';

/** A text and what tells it from other versions of itself. */
export type VersionedText = { text: string; version: string };

export interface TextSource {
  /** For messages: a path or an address, no secret. */
  readonly name: string;
  /** How often it may be asked. */
  readonly intervalMs: number;
  /**
   * The text as it is now; `undefined` if it is still the version `known`.
   * @throws Error if it cannot be read
   */
  read(known?: string): Promise<VersionedText | undefined>;
}

const FILE_INTERVAL_MS = 5_000;

export class FileSource implements TextSource {
  readonly name: string;
  readonly intervalMs = FILE_INTERVAL_MS;

  constructor(path: string) {
    this.name = path;
  }

  async read(known?: string): Promise<VersionedText | undefined> {
    const { mtimeMs, size, ino } = await stat(this.name);
    const version = `${ino} ${size} ${mtimeMs}`;
    return version === known ? undefined : { text: await readFile(this.name, 'utf8'), version };
  }
}
