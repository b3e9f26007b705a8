// The payload sum of Docker: SHA-256 over JSON, newline and layer.
import { createHash, type Hash } from 'node:crypto';
import { hexOfJson, type SentLayer } from './pending-pushes.ts';

/** The payload sums of one layer with several JSONs, computed in one pass. */
export class PayloadSums {
  readonly #hashes = new Map<string, Hash>();
  #sizeBytes = 0;

  /** Adds a JSON. Call it before the first `update`. */
  add(json: Uint8Array): void {
    this.#hashes.set(hexOfJson(json), createHash('sha256').update(json).update('\n'));
  }

  /** How many JSONs there are. */
  get count(): number {
    return this.#hashes.size;
  }

  update(chunk: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(chunk);
    this.#sizeBytes += chunk.length;
  }

  /** How much of the layer has been hashed. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The sums of what has been hashed so far, one for each JSON. */
  digest(): SentLayer[] {
    return [...this.#hashes].map(([json, hash]) => ({ json, sum: hash.copy().digest('hex') }));
  }
}

/** The payload sum of one JSON and a layer, in hex. */
export async function payloadSum(json: Uint8Array, layer: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256').update(json).update('\n');
  for await (const chunk of layer) hash.update(chunk);
  return hash.digest('hex');
}
