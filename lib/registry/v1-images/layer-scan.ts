// What must be known of a v1 layer, found out while its bytes pass by on their way to storage.
import { createHash } from 'node:crypto';
import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import { decompress, type LayerFormat } from '../../compression/decompress.ts';
import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { type Digest, sha256Digest } from '../../model/names.ts';
import { StreamTap } from '../../streams/stream-tap.ts';
import { formatOf, HEAD_BYTES } from '../../tar/layer-format.ts';

/** As much as tells gzip from everything else. */
const MAGIC_BYTES = 2;

export type LayerFacts = {
  sizeBytes: number;
  /** Of the bytes as they are. */
  digest: Digest;
  format: LayerFormat;
  /** Of the uncompressed tar; absent if it cannot be told: another format, or gzip that is broken or too large. */
  diffId?: Digest;
};

/** Passes a layer on while it measures it; `facts` is there once the layer has ended. */
export class LayerScan {
  readonly #limits: UnpackLimits | undefined;
  #facts: LayerFacts | undefined;

  constructor(limits?: UnpackLimits) {
    this.#limits = limits;
  }

  async *through(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    let head = new Uint8Array();
    let sizeBytes = 0;
    let unpacked: StreamTap<Digest | undefined> | undefined;
    try {
      for await (const chunk of body) {
        const before = head;
        if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
        if (!unpacked && before.length < MAGIC_BYTES && formatOf(head) === 'gzip') {
          unpacked = new StreamTap((packed) => digestOfGzip(packed, this.#limits));
          await unpacked.write(before); // a first chunk may be a single byte
        }
        hash.update(chunk);
        sizeBytes += chunk.length;
        await unpacked?.write(chunk);
        yield chunk;
      }
      const digest = sha256Digest(hash.digest('hex'));
      const format = formatOf(head);
      const diffId = format === 'tar' ? digest : await unpacked?.end();
      this.#facts = { sizeBytes, digest, format, ...(diffId && { diffId }) };
    } finally {
      unpacked?.destroy();
    }
  }

  get facts(): LayerFacts {
    if (!this.#facts) throw new Error('the layer has not ended yet');
    return this.#facts;
  }
}

/** The digest of what a gzip stream unpacks to, of which nothing is kept; `undefined` if it is broken or too large. */
async function digestOfGzip(body: AsyncIterable<Uint8Array>, limits?: UnpackLimits): Promise<Digest | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of decompress(body, 'gzip', limits)) hash.update(chunk);
    return sha256Digest(hash.digest('hex'));
  } catch (error) {
    if (error instanceof CorruptLayerError) return undefined;
    throw error;
  }
}
