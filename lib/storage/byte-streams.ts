import type { Readable } from 'node:stream';
import { unlessAborted } from '../streams/unless-aborted.ts';
import type { ByteRange } from './driver.ts';

/** A body that is being stored. `failure` is set once the body itself, or the abort signal, has ended it with an error. */
export type WatchedBody = { chunks: AsyncGenerator<Uint8Array, void, undefined>; failure?: { thrown: unknown } };

/**
 * Passes `body` on, and fails as soon as `signal` aborts, even while a chunk is awaited from a client that stalls. The driver
 * throws `failure.thrown`, and not the error that an SDK has made of it. `chunks` itself throws an Error in any case: Node's
 * streams take a falsy value for a normal end.
 */
export function watchBody(body: AsyncIterable<Uint8Array>, signal?: AbortSignal): WatchedBody {
  const watched: WatchedBody = { chunks: chunks() };
  async function* chunks() {
    const iterator = body[Symbol.asyncIterator]();
    try {
      for (;;) {
        // An error that the reader throws into this generator at `yield` is not a failure of the body.
        const result = await unlessAborted(() => iterator.next(), signal).catch((thrown: unknown) => {
          watched.failure = { thrown };
          throw new Error('the body failed', { cause: thrown });
        });
        if (result.done === true) return;
        yield result.value;
      }
    } finally {
      // Not awaited: a generator returns only after its next chunk, which may never come.
      iterator.return?.().catch(() => {});
    }
  }
  return watched;
}

/**
 * A web stream of a Node stream.
 * @param asError makes the error that the reader gets of an error of the source
 * @param idleMilliseconds how long the reader waits for a chunk before the source is destroyed. The reader may pause for any time
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

/**
 * The offsets of a range within an object; an end beyond the last byte is cut, as S3 does.
 * @throws RangeError if the range does not begin within the object
 */
export function offsetsWithin(range: ByteRange | undefined, sizeBytes: number): Offsets {
  if (!range) return { start: 0, endExclusive: sizeBytes };
  assertRange(range);
  if (range.start >= sizeBytes) {
    throw new RangeError(`bytes ${range.start}-${range.end} do not lie within an object of ${sizeBytes} bytes`);
  }
  return { start: range.start, endExclusive: Math.min(range.end + 1, sizeBytes) };
}

/** @throws RangeError for a range that S3 would ignore, sending the whole object */
export function assertRange({ start, end }: ByteRange): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new RangeError(`bytes ${start}-${end} are no range`);
  }
}
