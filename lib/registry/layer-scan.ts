// What must be known of a v1 layer, found out while its bytes pass by on their way to storage.
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { createGunzip, type Gunzip } from 'node:zlib';
import { type Digest, sha256Digest } from '../names.ts';

/** What the first bytes say; docker sent gzip, older tools anything. */
export type LayerFormat = 'empty' | 'tar' | 'gzip' | 'bzip2' | 'xz' | 'unknown';

export type LayerFacts = {
  sizeBytes: number;
  /** Of the bytes as they are. */
  digest: Digest;
  format: LayerFormat;
  /** Of the uncompressed tar; absent if it cannot be told: another format, or broken gzip. */
  diffId?: Digest;
};

/** Enough for the magic of a tar, `ustar` at 257. */
const HEAD_BYTES = 262;

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
        if (sizeBytes === 0 && chunk.length > 0 && startsWith(chunk, GZIP_MAGIC)) gunzip = new GunzipHash();
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

const GZIP_MAGIC = [0x1f, 0x8b];
const BZIP2_MAGIC = [0x42, 0x5a, 0x68];
const XZ_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];

function startsWith(bytes: Uint8Array, magic: number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte);
}

function formatOf(head: Uint8Array): LayerFormat {
  if (head.length === 0) return 'empty';
  if (startsWith(head, GZIP_MAGIC)) return 'gzip';
  if (startsWith(head, BZIP2_MAGIC)) return 'bzip2';
  if (startsWith(head, XZ_MAGIC)) return 'xz';
  const isTar = Buffer.from(head.subarray(257, 262)).toString('latin1') === 'ustar' || head.every((byte) => byte === 0);
  return isTar ? 'tar' : 'unknown';
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
