import { read } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { Buffers } from '../streams/buffer-pool.ts';
import { type ByteSource, closedError, type LentBytes } from '../streams/byte-source.ts';
import type { Offsets } from './byte-streams.ts';

/** One is read while the other is sent. */
const BUFFERS = 2;

/**
 * The bytes of an open file, which is closed at the end, by `close` and on abort. They are those of the file that was opened, even
 * if its name belongs to another one by now.
 */
export class FileSource implements ByteSource {
  readonly #handle: FileHandle;
  readonly #endExclusive: number;
  readonly #signal: AbortSignal | undefined;
  readonly #buffers = new Buffers(BUFFERS);
  #position: number;
  #reading: Promise<unknown> | undefined;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  constructor(handle: FileHandle, { start, endExclusive }: Offsets, signal: AbortSignal | undefined) {
    this.#handle = handle;
    this.#position = start;
    this.#endExclusive = endExclusive;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
  }

  /** @throws Error if the file is shorter than `endExclusive` */
  async next(): Promise<LentBytes | undefined> {
    if (this.#position < this.#endExclusive) return await this.#next();
    await this.close();
    return undefined;
  }

  async #next(): Promise<LentBytes> {
    const buffer = await this.#buffers.take().catch((error) => {
      throw this.#signal?.aborted ? this.#signal.reason : error;
    });
    try {
      const reading = readAt(this.#handle.fd, buffer, this.#position, this.#endExclusive);
      this.#reading = reading;
      const bytesRead = await reading;
      if (this.#isClosed) throw this.#signal?.aborted ? this.#signal.reason : closedError();
      if (bytesRead === 0)
        throw new Error(`the file ends at byte ${this.#position}, but was ${this.#endExclusive} bytes long`);
      this.#position += bytesRead;
      return { bytes: buffer.subarray(0, bytesRead), release: () => this.#buffers.give(buffer) };
    } catch (error) {
      this.#buffers.give(buffer);
      await this.close();
      throw error;
    }
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#buffers.close();
    await this.#reading?.catch(() => undefined); // the kernel may still write into the buffer
    await this.#handle.close();
  }

  readonly #onAbort = () => void this.close();
}

function readAt(file: number, buffer: Buffer, position: number, endExclusive: number): Promise<number> {
  const sizeBytes = Math.min(buffer.length, endExclusive - position);
  return new Promise((resolve, reject) => {
    read(file, buffer, 0, sizeBytes, position, (error, bytesRead) => (error ? reject(error) : resolve(bytesRead)));
  });
}
