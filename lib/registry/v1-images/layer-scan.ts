// Digest, size, format and diff id of a v1 layer, computed in one pass while its bytes go to storage.
import { createHash } from 'node:crypto';
import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import { decompress } from '../../compression/decompress.ts';
import type { LayerFormat } from '../../compression/layer-format.ts';
import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { type Digest, sha256Digest } from '../../model/names.ts';
import { StreamTap } from '../../streams/stream-tap.ts';
import { formatOf, HEAD_BYTES } from '../../tar/layer-format.ts';

/** The length of gzip's magic number. */
const MAGIC_BYTES = 2;

export type LayerFacts = {
  sizeBytes: number;
  /** Of the bytes as they are, compressed or not. */
  digest: Digest;
  format: LayerFormat;
  /** Absent for bzip2 and xz, which are not unpacked here, and for gzip that is corrupt or exceeds the limits. */
  diffId?: Digest;
};

/** Passes a layer on and computes its facts, which are known when it has ended. */
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
          await unpacked.write(before); // the first chunk may have been a single byte
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

/** The digest of an unpacked gzip stream, computed without storing it; `undefined` if it is corrupt or exceeds the limits. */
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
