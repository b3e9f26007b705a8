/**
 * Feeds a second consumer of a stream, for example a checksum, while the stream goes to its destination. The bytes that are
 * written here come out of the iterable that `consume` is called with. They are not buffered: the writer waits for the consumer.
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
    // Once the consumer has its result or has failed it reads no more, and `write` must not wait for it.
    this.#result.then(
      () => this.destroy(),
      () => this.destroy(),
    );
  }

  /** Never throws: `end` throws the error of a consumer that has failed. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#writer.write(chunk).catch(() => undefined);
    await this.#writer.ready.catch(() => undefined);
  }

  /** To be called when all bytes are written. @returns what the consumer returned @throws what it threw */
  async end(): Promise<T> {
    this.#writer.close().catch(() => undefined);
    return await this.#result;
  }

  /** Makes the consumer fail, if the stream breaks off. */
  destroy(reason: unknown = new Error('the stream was abandoned')): void {
    this.#writer.abort(reason).catch(() => undefined);
  }
}
