// Bodies of transfers that hold a slot: they report the client's progress to it, and end when the transfer is cut off.
import { unlessAborted } from '../streams/unless-aborted.ts';
import type { Slot } from './slot.ts';

/**
 * Passes on what a client sends. When the transfer is cut off it fails with the reason at once, also while it waits for the
 * client. The caller releases the slot.
 */
export async function* receiving(body: AsyncIterable<Uint8Array>, slot: Slot): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      slot.isWaitingForClient = true;
      const result = await unlessAborted(() => iterator.next(), slot.signal);
      slot.isWaitingForClient = false;
      if (result.done) return;
      slot.moved(result.value.length);
      yield result.value;
    }
  } finally {
    // Not awaited: a stream that waits for its client returns only after the next chunk, which may never come.
    iterator.return?.().catch(() => undefined);
  }
}

/**
 * Passes on what a client receives. Releases the slot at the end, on failure, and when the client goes away.
 * @param options.disconnect closes the client's connection on a cut-off. Without it the body fails
 */
export function sending(
  body: ReadableStream<Uint8Array>,
  slot: Slot,
  { clientGone, disconnect }: { clientGone: AbortSignal; disconnect?: (() => void) | undefined },
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let isDone = false;
  const end = async (reason?: unknown) => {
    if (isDone) return;
    isDone = true;
    clientGone.removeEventListener('abort', onGone);
    slot.release();
    await reader.cancel(reason).catch(() => undefined);
  };
  const onGone = () => void end();
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const onCutOff = () => {
          if (isDone) return;
          void end();
          if (disconnect) disconnect();
          else controller.error(slot.signal.reason);
        };
        slot.signal.addEventListener('abort', onCutOff, { once: true });
        if (clientGone.aborted) onGone();
        else clientGone.addEventListener('abort', onGone, { once: true });
      },
      async pull(controller) {
        slot.isWaitingForClient = false;
        try {
          const { done, value } = await reader.read();
          if (isDone) return;
          if (done) {
            await end();
            controller.close();
            return;
          }
          slot.moved(value.length);
          controller.enqueue(value);
          slot.isWaitingForClient = true;
        } catch (error) {
          await end();
          throw error;
        }
      },
      cancel: end,
    },
    // No chunk is read ahead, as it would be counted as received while it waits here.
    { highWaterMark: 0 },
  );
}
