import type { FileHandle } from 'node:fs/promises';
import type { Offsets } from './byte-streams.ts';

/** Large enough that the cost of a read call does not matter, small enough for hundreds of readers. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Streams an open file, one chunk ahead of the reader, and closes it at the end, on cancel and on abort. The bytes are those of
 * the file that was opened, even if its name belongs to another one by now.
 * @throws (in the stream) Error if the file is shorter than `endExclusive`
 */
export function streamFile(
  handle: FileHandle,
  { start, endExclusive }: Offsets,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  let position = start;
  let onAbort: () => void;
  const finish = async () => {
    signal?.removeEventListener('abort', onAbort);
    await handle.close();
  };

  return new ReadableStream<Uint8Array>({
    async start(controller) {
      onAbort = () => {
        controller.error(signal?.reason);
        void finish();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      if (position >= endExclusive) {
        controller.close();
        await finish();
      }
    },
    async pull(controller) {
      try {
        const size = Math.min(CHUNK_BYTES, endExclusive - position);
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(size), 0, size, position);
        if (signal?.aborted) return;
        if (bytesRead === 0) throw new Error(`the file ends at byte ${position}, but was ${endExclusive} bytes long`);
        position += bytesRead;
        controller.enqueue(buffer.subarray(0, bytesRead));
        if (position < endExclusive) return;
        controller.close();
        await finish();
      } catch (error) {
        await finish();
        throw error;
      }
    },
    cancel: finish,
  });
}
