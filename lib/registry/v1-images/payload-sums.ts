// The payload sum of docker, SHA-256 over JSON, newline and layer, for several JSONs of one layer at once.
import { createHash, type Hash } from 'node:crypto';
import type { SentLayer } from './pending-pushes.ts';
import { hexOfJson } from './pending-pushes.ts';

export class PayloadSums {
  readonly #hashes = new Map<string, Hash>();
  #sizeBytes = 0;

  /** Before the layer begins. */
  add(json: Uint8Array): void {
    this.#hashes.set(hexOfJson(json), createHash('sha256').update(json).update('\n'));
  }

  /** Of JSONs. */
  get count(): number {
    return this.#hashes.size;
  }

  update(chunk: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(chunk);
    this.#sizeBytes += chunk.length;
  }

  /** Of the layer. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Once the layer has ended. */
  digest(): SentLayer[] {
    return [...this.#hashes].map(([json, hash]) => ({ json, sum: hash.copy().digest('hex') }));
  }
}
