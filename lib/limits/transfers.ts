// Bodies of transfers that hold a slot: they report progress to it, and end when it is taken away.
import { unlessAborted } from '../streams/unless-aborted.ts';
import type { Slot } from './slot.ts';

/**
 * Passes on what a client sends. Fails with the reason of the cut-off, also while the client keeps it waiting.
 * The slot is released by the caller.
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
    // Not awaited: a stream that waits for its client ends only after the next chunk, which may never come.
    iterator.return?.().catch(() => undefined);
  }
}

/**
 * Passes on what a client takes, and releases the slot at the end, on failure, and when the client goes away.
 * @param disconnect ends the client's connection; without it a cut-off makes the body fail
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
    // Nothing is read ahead: a chunk that waits here would be counted as taken.
    { highWaterMark: 0 },
  );
}
