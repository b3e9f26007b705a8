import type { Readable } from 'node:stream';
import type { ByteRange } from './driver.ts';

/**
 * Passes `body` on and throws the signal's reason as soon as it aborts, even while `body` keeps us waiting for a chunk
 * (a client that stalls). `body` is told to stop, but not waited for: a generator answers only after its next chunk.
 */
async function* untilAborted<T>(body: AsyncIterable<T>, signal?: AbortSignal): AsyncGenerator<T, void, undefined> {
  signal?.throwIfAborted();
  const iterator = body[Symbol.asyncIterator]();
  // Not Promise.race with one promise for the whole stream: that would hold on to every chunk until the end.
  let rejectPending: (reason: unknown) => void = () => {};
  const onAbort = () => rejectPending(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  let isEnded = false;
  try {
    for (;;) {
      const result = await new Promise<IteratorResult<T, unknown>>((resolve, reject) => {
        rejectPending = reject;
        iterator.next().then(resolve, reject);
      });
      if (result.done === true) {
        isEnded = true;
        return;
      }
      yield result.value;
      signal?.throwIfAborted();
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    if (!isEnded) iterator.return?.().catch(() => {}); // whatever it says now, the upload has failed already
  }
}

/** A body on its way into storage, which tells afterwards whether it was the body that failed, and how. */
export type WatchedBody = { chunks: AsyncGenerator<Uint8Array, void, undefined>; failure?: { thrown: unknown } };

/**
 * So that a driver can throw on what the body threw (or why the signal aborted), whatever became of it on its way through an
 * SDK. `chunks` always throws an Error, as Node's streams take anything falsy for a good end.
 */
export function watchBody(body: AsyncIterable<Uint8Array>, signal?: AbortSignal): WatchedBody {
  const watched: WatchedBody = { chunks: chunks() };
  async function* chunks() {
    try {
      yield* untilAborted(body, signal);
    } catch (thrown) {
      watched.failure = { thrown };
      throw new Error('the body failed', { cause: thrown });
    }
  }
  return watched;
}

/** `asError` says what the reader gets when the source breaks off. */
export function streamReadable(source: Readable, asError: (error: unknown) => unknown): ReadableStream<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array> = source[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const result = await chunks.next();
        if (result.done === true) controller.close();
        else controller.enqueue(result.value);
      } catch (error) {
        throw asError(error);
      }
    },
    cancel() {
      source.destroy();
    },
  });
}

export type Offsets = { start: number; endExclusive: number };

/** @throws RangeError unless `range` begins within an object of this size; S3 cuts an end that lies behind it, and so do we */
export function offsetsWithin(
  range: ByteRange | undefined,
  sizeBytes: number,
): { start: number; endExclusive: number } {
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
