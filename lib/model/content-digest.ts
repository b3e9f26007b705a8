import { createHash } from 'node:crypto';
import { RegistryError } from './errors.ts';
import type { Digest, DigestAlgorithm } from './names.ts';

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;
}

/** @throws RegistryError DIGEST_INVALID */
export function checkDigest(actual: Digest, expected: Digest): void {
  if (actual !== expected) {
    throw new RegistryError('DIGEST_INVALID', `the content has the digest ${actual}, not ${expected}`, {
      detail: { expected, actual },
    });
  }
}
