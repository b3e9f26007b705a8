// Where a text that changes now and then is kept: passwords, above all.
import { readFile, stat } from 'node:fs/promises';
import { MiB } from '../../streams/bytes.ts';

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

/** A hundred thousand users have less. */
export const MAX_TEXT_BYTES = 4 * MiB;

export const FILE_INTERVAL_MS = 5_000;

export class FileSource implements TextSource {
  readonly name: string;
  readonly intervalMs = FILE_INTERVAL_MS;

  constructor(path: string) {
    this.name = path;
  }

  async read(known?: string): Promise<VersionedText | undefined> {
    const file = await stat(this.name);
    // To read a FIFO would wait until a program writes to it.
    if (!file.isFile()) throw new Error(`${this.name} is not a file`);
    const { mtimeMs, size, ino } = file;
    if (size > MAX_TEXT_BYTES) throw new Error(`${this.name} has more than ${MAX_TEXT_BYTES} bytes`);
    const version = `${ino} ${size} ${mtimeMs}`;
    return version === known ? undefined : { text: await readFile(this.name, 'utf8'), version };
  }
}
