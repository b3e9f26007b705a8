// What must be known of a v1 layer, found out while its bytes pass by on their way to storage.
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { createGunzip, type Gunzip } from 'node:zlib';
import { type Digest, sha256Digest } from '../names.ts';
import { formatOf, HEAD_BYTES, type LayerFormat } from '../tar/layer-format.ts';

export type { LayerFormat } from '../tar/layer-format.ts';

export type LayerFacts = {
  sizeBytes: number;
  /** Of the bytes as they are. */
  digest: Digest;
  format: LayerFormat;
  /** Of the uncompressed tar; absent if it cannot be told: another format, or broken gzip. */
  diffId?: Digest;
};

/** Passes a layer on while it measures it; `facts` is there once the layer has ended. */
export class LayerScan {
  #facts: LayerFacts | undefined;

  async *through(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    let head = new Uint8Array();
    let sizeBytes = 0;
    let gunzip: GunzipHash | undefined;
    try {
      for await (const chunk of body) {
        if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
        if (sizeBytes === 0 && formatOf(chunk) === 'gzip') gunzip = new GunzipHash();
        hash.update(chunk);
        sizeBytes += chunk.length;
        await gunzip?.write(chunk);
        yield chunk;
      }
      const digest = sha256Digest(hash.digest('hex'));
      const format = formatOf(head);
      const diffId = format === 'tar' ? digest : await gunzip?.end();
      this.#facts = { sizeBytes, digest, format, ...(diffId && { diffId }) };
    } finally {
      gunzip?.destroy();
    }
  }

  get facts(): LayerFacts {
    if (!this.#facts) throw new Error('the layer has not ended yet');
    return this.#facts;
  }
}

/** The SHA-256 of what a gzip stream unpacks to; nothing of it is kept. */
class GunzipHash {
  readonly #gunzip: Gunzip = createGunzip();
  readonly #hash: Hash = createHash('sha256');
  readonly #ended: Promise<boolean>;
  #isBroken = false;

  constructor() {
    this.#gunzip.on('data', (chunk: Uint8Array) => this.#hash.update(chunk));
    this.#ended = new Promise((resolve) => {
      this.#gunzip.on('end', () => resolve(true));
      this.#gunzip.on('close', () => resolve(false));
    });
    this.#gunzip.on('error', () => {
      this.#isBroken = true;
    });
  }

  /** Waits while the unpacking lags behind. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#isBroken || this.#gunzip.write(chunk)) return;
    await Promise.race([once(this.#gunzip, 'drain'), this.#ended]).catch(() => undefined);
  }

  async end(): Promise<Digest | undefined> {
    this.#gunzip.end();
    const isWhole = await this.#ended;
    return isWhole && !this.#isBroken ? sha256Digest(this.#hash.digest('hex')) : undefined;
  }

  destroy(): void {
    this.#gunzip.destroy();
  }
}
