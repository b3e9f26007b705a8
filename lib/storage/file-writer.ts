import type { FileHandle } from 'node:fs/promises';
import { MiB } from '../streams/bytes.ts';

/** What may wait to be written while the next chunk is read. */
const MAX_WAITING_BYTES = 3 * MiB;

/** As many buffers as one system call takes. https://man7.org/linux/man-pages/man2/writev.2.html */
const MAX_BUFFERS = 1024;

/**
 * After so many bytes the system is told to begin writing them to the disk. By itself it would begin only when the file is
 * synced, and the client would wait for all of it.
 */
export const FLUSH_BYTES = 16 * MiB;

type WritableFile = Pick<FileHandle, 'writev' | 'datasync'>;

/** One flush at a time: it may take seconds, and all files of this process share a few threads. */
let isFlushing = false;

/**
 * Writes a body to a file while it arrives: the next chunks are read while the last ones are written, and what has come
 * meanwhile is written by one call.
 * @param giveBack is called with each chunk that is written
 * @throws what the body throws, or the error of the first write that fails. No write is under way afterwards
 */
export async function writeBody(
  handle: WritableFile,
  body: AsyncIterable<Uint8Array>,
  giveBack?: (chunk: Uint8Array) => void,
): Promise<void> {
  const writer = new FileWriter(handle, giveBack);
  try {
    for await (const chunk of body) await writer.add(chunk);
  } finally {
    await writer.settle();
  }
  writer.throwIfFailed();
}

class FileWriter {
  readonly #handle: WritableFile;
  readonly #giveBack: ((chunk: Uint8Array) => void) | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writtenBytes = 0;
  #flushedBytes = 0;
  #writing: Promise<void> | undefined;
  #flushing: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;

  constructor(handle: WritableFile, giveBack: ((chunk: Uint8Array) => void) | undefined) {
    this.#handle = handle;
    this.#giveBack = giveBack;
  }

  /** Waits while much waits to be written. @throws the error of an earlier write */
  async add(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    while (this.#writing && this.#isFull) await this.#writing;
    this.throwIfFailed();
    if (!this.#writing && this.#waiting.length > 0) this.#writing = this.#writeWaiting();
  }

  /** Resolves when nothing is written any more. */
  async settle(): Promise<void> {
    await this.#writing;
    await this.#flushing;
  }

  throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }

  get #isFull(): boolean {
    return this.#waitingBytes > MAX_WAITING_BYTES || this.#waiting.length > MAX_BUFFERS;
  }

  async #writeWaiting(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const chunks = this.#waiting.splice(0, MAX_BUFFERS);
        const sizeBytes = sizeOf(chunks);
        this.#waitingBytes -= sizeBytes;
        await writeAll(this.#handle, chunks, this.#writtenBytes);
        this.#writtenBytes += sizeBytes;
        if (this.#giveBack) for (const chunk of chunks) this.#giveBack(chunk);
        this.#flush();
      }
    } catch (error) {
      this.#failure ??= { error };
    }
    // In the turn in which the last waiting chunk is written, so that a chunk which comes in the next one begins a write.
    this.#writing = undefined;
  }

  #flush(): void {
    if (isFlushing || this.#writtenBytes - this.#flushedBytes < FLUSH_BYTES) return;
    isFlushing = true;
    this.#flushedBytes = this.#writtenBytes;
    this.#flushing = this.#handle
      .datasync()
      .catch((error: unknown) => {
        this.#failure ??= { error }; // the system reports a failed write to the disk once
      })
      .finally(() => {
        isFlushing = false;
      });
  }
}

async function writeAll(handle: WritableFile, chunks: readonly Uint8Array[], position: number): Promise<void> {
  let left = chunks;
  for (let at = position; ; ) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = withoutFirst(left, bytesWritten);
    if (left.length === 0) return;
  }
}

/** What is left of chunks after their first bytes. */
function withoutFirst(chunks: readonly Uint8Array[], sizeBytes: number): Uint8Array[] {
  let skipBytes = sizeBytes;
  return chunks.flatMap((chunk) => {
    const skipped = Math.min(skipBytes, chunk.length);
    skipBytes -= skipped;
    return skipped === chunk.length ? [] : [chunk.subarray(skipped)];
  });
}

function sizeOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}
