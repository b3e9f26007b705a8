import type { Readable } from 'node:stream';
import { unlessAborted } from '../streams/unless-aborted.ts';
import type { ByteRange } from './driver.ts';

/** A body on its way into storage, which tells afterwards whether it was the body that failed, and how. */
export type WatchedBody = { chunks: AsyncGenerator<Uint8Array, void, undefined>; failure?: { thrown: unknown } };

/**
 * Passes `body` on, and fails as soon as `signal` aborts, even while `body` keeps us waiting for a chunk (a client that
 * stalls). A driver can then throw on what the body threw, or why it was aborted, whatever became of it on its way through
 * an SDK. `chunks` itself always throws an Error, as Node's streams take anything falsy for a good end.
 */
export function watchBody(body: AsyncIterable<Uint8Array>, signal?: AbortSignal): WatchedBody {
  const watched: WatchedBody = { chunks: chunks() };
  async function* chunks() {
    const iterator = body[Symbol.asyncIterator]();
    try {
      for (;;) {
        // Only what comes out of the body is its failure: at `yield` a reader that has failed itself may throw in an error.
        const result = await unlessAborted(() => iterator.next(), signal).catch((thrown: unknown) => {
          watched.failure = { thrown };
          throw new Error('the body failed', { cause: thrown });
        });
        if (result.done === true) return;
        yield result.value;
      }
    } finally {
      // Told to stop, but not waited for: a generator hears of it only after its next chunk, which may never come.
      iterator.return?.().catch(() => {});
    }
  }
  return watched;
}

/**
 * @param asError says what the reader gets when the source breaks off
 * @param idleMilliseconds how long the source may keep the reader waiting; the reader may pause for any time
 */
export function streamReadable(
  source: Readable,
  asError: (error: unknown) => unknown,
  idleMilliseconds: number,
): ReadableStream<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array> = source[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const limit = setTimeout(
        () => source.destroy(Object.assign(new Error('the server is silent'), { name: 'TimeoutError' })),
        idleMilliseconds,
      );
      try {
        const result = await chunks.next();
        if (result.done === true) controller.close();
        else controller.enqueue(result.value);
      } catch (error) {
        throw asError(error);
      } finally {
        clearTimeout(limit);
      }
    },
    cancel() {
      source.destroy();
    },
  });
}

export type Offsets = { start: number; endExclusive: number };

/** @throws RangeError unless `range` begins within an object of this size; S3 cuts an end that lies behind it, and so do we */
export function offsetsWithin(range: ByteRange | undefined, sizeBytes: number): Offsets {
  if (!range) return { start: 0, endExclusive: sizeBytes };
  assertRange(range);
  if (range.start >= sizeBytes) {
    throw new RangeError(`bytes ${range.start}-${range.end} do not lie within an object of ${sizeBytes} bytes`);
  }
  return { start: range.start, endExclusive: Math.min(range.end + 1, sizeBytes) };
}

/** @throws RangeError for what S3 would take for no range at all, and answer with the whole object */
export function assertRange({ start, end }: ByteRange): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new RangeError(`bytes ${start}-${end} are no range`);
  }
}
