// Sources of a text that changes from time to time: the users file.
import { readFile, stat } from 'node:fs/promises';
import { MiB } from '../../streams/bytes.ts';

/** A text, and a version that changes with it. */
export type VersionedText = { text: string; version: string };

export interface TextSource {
  /** For messages: a path, URL or ARN; not secret. */
  readonly name: string;
  /** The least time between two reads. */
  readonly intervalMs: number;
  /**
   * The text now; `undefined` if its version is still `known`.
   * @throws Error if it cannot be read
   */
  read(known?: string): Promise<VersionedText | undefined>;
}

/** Enough for fifty thousand users. */
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
    // Reading a FIFO would block until a program writes to it.
    if (!file.isFile()) throw new Error(`${this.name} is not a file`);
    const { mtimeMs, size, ino } = file;
    if (size > MAX_TEXT_BYTES) throw new Error(`${this.name} has more than ${MAX_TEXT_BYTES} bytes`);
    const version = `${ino} ${size} ${mtimeMs}`;
    return version === known ? undefined : { text: await readFile(this.name, 'utf8'), version };
  }
}
