import { createHash } from 'node:crypto';

/**
 * Hashes a body while it passes. The caller uses the blocks that come out, which may be others than those that went in.
 * @returns (at the end) the digest in hexadecimal
 */
export type HashBlocks = (algorithm: string, blocks: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array, string>;

/** Hashes in this thread. */
export async function* hashHere(
  algorithm: string,
  blocks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, string> {
  const hash = createHash(algorithm);
  for await (const block of blocks) {
    hash.update(block);
    yield block;
  }
  return hash.digest('hex');
}
