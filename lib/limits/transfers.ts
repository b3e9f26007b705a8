// Bodies of transfers that hold a slot: they report the client's progress to it, and end when the transfer is cut off.
import { sourceOf, streamOf } from '../streams/byte-source.ts';
import { unlessAborted } from '../streams/unless-aborted.ts';
import type { Slot } from './slot.ts';

/**
 * Passes on what a client sends. When the transfer is cut off it fails with the reason at once, also while it waits for the
 * client. The caller releases the slot.
 * @param options.countsBytes false where the caller reports the bytes to the slot as they arrive. Default true
 */
export async function* receiving(
  body: AsyncIterable<Uint8Array>,
  slot: Slot,
  { countsBytes = true }: { countsBytes?: boolean } = {},
): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      slot.isWaitingForClient = true;
      const result = await unlessAborted(() => iterator.next(), slot.signal);
      slot.isWaitingForClient = false;
      if (result.done) return;
      if (countsBytes) slot.moved(result.value.length);
      yield result.value;
    }
  } finally {
    // Not awaited: a stream that waits for its client returns only after the next chunk, which may never come.
    iterator.return?.().catch(() => undefined);
  }
}

/**
 * Passes on what a client receives. Releases the slot once the client has taken the last byte, on failure, and when the client
 * goes away.
 * @param options.disconnect closes the client's connection on a cut-off. Without it the body fails
 */
export function sending(
  body: ReadableStream<Uint8Array>,
  slot: Slot,
  { clientGone, disconnect }: { clientGone: AbortSignal; disconnect?: (() => void) | undefined },
): ReadableStream<Uint8Array> {
  const source = sourceOf(body);
  let lent = 0;
  let isReading = false;
  let isAtEnd = false;
  const free = () => {
    clientGone.removeEventListener('abort', close);
    slot.signal.removeEventListener('abort', onCutOff);
    slot.release();
  };
  const onProgress = () => {
    slot.isWaitingForClient = lent > 0 || !isReading;
    if (isAtEnd && lent === 0) free();
  };
  const close = async () => {
    free();
    await source.close();
  };
  const onCutOff = () => {
    void close();
    disconnect?.();
  };
  slot.signal.addEventListener('abort', onCutOff, { once: true });
  clientGone.addEventListener('abort', close, { once: true });
  if (clientGone.aborted) void close();
  return streamOf({
    async next() {
      isReading = true;
      onProgress();
      try {
        const taken = await source.next();
        isAtEnd = !taken;
        if (!taken) return undefined;
        lent++;
        const release = () => {
          lent--;
          slot.moved(taken.bytes.length);
          taken.release();
          onProgress();
        };
        return { bytes: taken.bytes, release };
      } catch (error) {
        await close();
        throw slot.signal.aborted ? slot.signal.reason : error;
      } finally {
        isReading = false;
        onProgress();
      }
    },
    close,
  });
}
