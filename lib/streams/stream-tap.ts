/**
 * Lets something read a stream while it passes by on its real way: the bytes written here come out of the iterable that
 * `consume` gets. Nothing of it is kept; the writer waits while the consumer lags behind.
 *
 *     const sum = new StreamTap((layer) => tarSum(json, layer, 0));
 *     for await (const chunk of body) await sum.write(chunk);
 *     await sum.end();
 */
export class StreamTap<T> {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #result: Promise<T>;

  constructor(consume: (body: AsyncIterable<Uint8Array>) => Promise<T>) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => undefined);
    this.#result = consume(readable);
    // Whoever has the result, or has failed, wants no more: else `write` would wait for it for ever.
    this.#result.then(
      () => this.destroy(),
      () => this.destroy(),
    );
  }

  /** Never throws: if the consumer has failed, `end` says so. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#writer.write(chunk).catch(() => undefined);
    await this.#writer.ready.catch(() => undefined);
  }

  /** What came out, once everything was written; throws what the consumer threw. */
  async end(): Promise<T> {
    this.#writer.close().catch(() => undefined);
    return await this.#result;
  }

  /** For when there will be no end: the consumer fails. */
  destroy(reason: unknown = new Error('the stream was given up')): void {
    this.#writer.abort(reason).catch(() => undefined);
  }
}
