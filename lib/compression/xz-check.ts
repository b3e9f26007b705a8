import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { createCRC64 } from 'hash-wasm';
import { CorruptLayerError } from './corrupt-layer-error.ts';

/** A sum over what a block unpacks to. */
export interface IntegrityCheck {
  readonly sizeBytes: number;
  update(bytes: Uint8Array): void;
  /** As it lies in the file. */
  digest(): Uint8Array;
}

/**
 * @param type as in the stream's flags
 * @throws CorruptLayerError for those that no tool writes
 * @see https://tukaani.org/xz/xz-file-format.txt 2.1.1.2
 */
export async function integrityCheck(type: number): Promise<IntegrityCheck> {
  switch (type) {
    case 0x0:
      return { sizeBytes: 0, update: () => undefined, digest: () => new Uint8Array() };
    case 0x1:
      return crc32Check();
    case 0x4:
      return await crc64Check();
    case 0xa:
      return sha256Check();
    default:
      throw new CorruptLayerError(`the xz stream has an unknown check ${type}`);
  }
}

function crc32Check(): IntegrityCheck {
  let sum = 0;
  return {
    sizeBytes: 4,
    update: (bytes) => {
      sum = crc32(bytes, sum);
    },
    digest: () => Buffer.from(Uint32Array.of(sum).buffer),
  };
}

async function crc64Check(): Promise<IntegrityCheck> {
  const hash = await createCRC64();
  hash.init();
  return { sizeBytes: 8, update: (bytes) => hash.update(bytes), digest: () => hash.digest('binary').reverse() };
}

function sha256Check(): IntegrityCheck {
  const hash = createHash('sha256');
  return { sizeBytes: 32, update: (bytes) => hash.update(bytes), digest: () => hash.digest() };
}
