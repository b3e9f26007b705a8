// Bytes on their way to a client in buffers that are used again. A web stream allocates each of its chunks, and moving 1 GiB that
// way takes three times the CPU time.
import type { Writable } from 'node:stream';

/** Bytes that `next` gave. They may change once `release` is called, which is done exactly once. */
export type LentBytes = { bytes: Uint8Array; release(): void };

export interface ByteSource {
  /**
   * The next bytes; `undefined` at the end, where the source closes itself. A source lends a few buffers at once, and waits until one of them is released.
   * @throws the error of the source; after `close`, an Error
   */
  next(): Promise<LentBytes | undefined>;
  /** Frees what the source holds, also before the end, and makes a waiting `next` fail. May be called again. */
  close(): Promise<void>;
}

const sources = new WeakMap<ReadableStream<Uint8Array>, ByteSource>();

/** A web stream of a source, for readers that know no sources: it copies the bytes. `knownSourceOf` finds the source again. */
export function streamOf(source: ByteSource): ReadableStream<Uint8Array> {
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const lent = await source.next();
        if (!lent) return controller.close();
        const copy = Buffer.from(lent.bytes);
        lent.release();
        controller.enqueue(copy);
      },
      cancel: () => source.close(),
    },
    // No chunk is read ahead, as it would be counted as received while it waits here.
    { highWaterMark: 0 },
  );
  sources.set(stream, source);
  return stream;
}

/** The source of a stream that `streamOf` has made and from which nothing has been read. */
export function knownSourceOf(stream: ReadableStream<Uint8Array>): ByteSource | undefined {
  return stream.locked ? undefined : sources.get(stream);
}

/** The source of a stream; for a stream of other origin, one that lends its chunks. The stream is not read by others. */
export function sourceOf(stream: ReadableStream<Uint8Array>): ByteSource {
  const known = knownSourceOf(stream);
  if (known) return known;
  const reader = stream.getReader();
  let isClosed = false;
  return {
    async next() {
      const { done, value } = await reader.read();
      if (isClosed) throw closedError();
      return done ? undefined : { bytes: value, release: () => undefined };
    },
    async close() {
      isClosed = true;
      await reader.cancel().catch(() => undefined);
    },
  };
}

/**
 * Writes all bytes of a source to `sink`, whose owner ends it, and closes the source. Resolves once the sink has taken the last
 * byte, or is closed.
 * @param closing emits `close` when the sink will take no more: a response, or better its connection
 * @throws the error of the source
 */
export async function writeAll(source: ByteSource, sink: Writable, closing: NodeJS.EventEmitter): Promise<void> {
  let unsent = 0;
  let onTaken = () => {};
  const onClose = () => {
    onTaken();
    void source.close();
  };
  closing.once('close', onClose);
  try {
    while (!sink.destroyed) {
      const lent = await source.next();
      if (!lent) break;
      unsent++;
      const release = () => {
        lent.release();
        unsent--;
        onTaken();
      };
      if (sink.destroyed) release();
      else sink.write(lent.bytes, release);
    }
    if (unsent > 0 && !sink.destroyed)
      await new Promise<void>((resolve) => {
        onTaken = () => (unsent === 0 || sink.destroyed) && resolve();
      });
  } catch (error) {
    if (!sink.destroyed) throw error;
  } finally {
    closing.off('close', onClose);
    await source.close();
  }
}

export function closedError(): Error {
  return new Error('reading was ended before the last byte');
}
