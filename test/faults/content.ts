// What is pushed. Everything comes from a seed, so that it needs not be kept.
import { gzipSync } from 'node:zlib';
import { tar } from '../support/tar.ts';
import type { V1Image } from '../support/v1-client.ts';
import type { Random } from './random.ts';

const OCI = 'application/vnd.oci.image';

export const OCI_MANIFEST = `${OCI}.manifest.v1+json`;
export const OCI_INDEX = `${OCI}.index.v1+json`;

/** Bytes, and what a manifest calls them. */
export type Content = { mediaType: string; bytes: Buffer<ArrayBuffer> };

export function newConfig(random: Random, layerCount: number): Content {
  const diff_ids = Array.from({ length: layerCount }, () => `sha256:${random.hex(64)}`);
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: [random.hex(16)] },
    rootfs: { type: 'layers', diff_ids },
  };
  return { mediaType: `${OCI}.config.v1+json`, bytes: Buffer.from(JSON.stringify(config)) };
}

/** A layer of random bytes, which the registry does not parse on the way to storage. */
export function newLayer(random: Random, sizeBytes: number): Content {
  return { mediaType: `${OCI}.layer.v1.tar`, bytes: random.bytes(sizeBytes) };
}

/** A chain of v1 images, base first; layers are tars, since v2 makes its manifest from what is in them. */
export function newChain(random: Random, layerSizes: readonly number[]): V1Image[] {
  const images: V1Image[] = [];
  for (const sizeBytes of layerSizes) {
    const id = random.hex(64);
    const parent = images.at(-1)?.id;
    const json = { id, ...(parent && { parent }), created: '2014-05-15T02:37:51.21802123Z', os: 'linux' };
    const content = tar([{ path: `file-of-${id.slice(0, 12)}`, content: random.bytes(sizeBytes) }]);
    const layer = random.chance(0.5) ? gzipSync(content, { level: 1 }) : content;
    images.push({ id, json: Buffer.from(JSON.stringify(json)), layer });
  }
  return images;
}
