// Sources of a text that changes from time to time: the users file.
import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { hasCode } from '../../model/has-code.ts';
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
   * @throws MissingTextError if it is not there; Error if it cannot be read
   */
  read(known?: string): Promise<VersionedText | undefined>;
}

/** There is no such text. The message says where, and how to make it. */
export class MissingTextError extends Error {
  override readonly name = 'MissingTextError';
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
    const file = await this.#stat();
    // Reading a FIFO would block until a program writes to it.
    if (!file.isFile()) throw new Error(`${this.name} is not a file`);
    const { mtimeMs, size, ino } = file;
    if (size > MAX_TEXT_BYTES) throw new Error(`${this.name} has more than ${MAX_TEXT_BYTES} bytes`);
    const version = `${ino} ${size} ${mtimeMs}`;
    return version === known ? undefined : { text: await readFile(this.name, 'utf8'), version };
  }

  async #stat(): Promise<Stats> {
    try {
      return await stat(this.name);
    } catch (cause) {
      if (!hasCode(cause, 'ENOENT')) throw cause;
      throw new MissingTextError(`${this.name} is not there: make it with \`stowage user add NAME\``, { cause });
    }
  }
}
