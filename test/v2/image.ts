import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tar } from '../support/tar.ts';
import type { V2Client } from './client.ts';

export type PushedImage = { digest: string; manifest: object; sizeBytes: number; tars: Buffer[] };

export type ImageOptions = {
  /** The content of one file in each layer, base first. */
  contents: string[];
  compression?: 'gzip' | 'zstd' | 'none';
  /** Fields of the config. */
  config?: object;
};

const OCI = 'application/vnd.oci.image';

const COMPRESS = {
  gzip: (bytes: Buffer) => gzipSync(bytes),
  zstd: (bytes: Buffer) => zstdCompressSync(bytes),
  none: (bytes: Buffer) => bytes,
};
const SUFFIX = { gzip: '+gzip', zstd: '+zstd', none: '' };

/** Builds an OCI image and pushes it as a v2 client does. */
export async function pushImage(
  client: V2Client,
  repository: string,
  reference: string | undefined,
  { contents, compression = 'gzip', config = {} }: ImageOptions,
): Promise<PushedImage> {
  const tars = contents.map((content, index) => tar([{ path: `file-${index}`, content: Buffer.from(content) }]));
  const layers = await Promise.all(
    tars.map((bytes) =>
      pushDescribed(client, repository, COMPRESS[compression](bytes), `${OCI}.layer.v1.tar${SUFFIX[compression]}`),
    ),
  );
  const diffIds = tars.map((bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  const document = {
    created: '2026-01-02T03:04:05Z',
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/app'], Env: ['A=b'] },
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: contents.map((content) => ({ created_by: content })),
    ...config,
  };
  const json = Buffer.from(JSON.stringify(document));
  const manifest = {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: await pushDescribed(client, repository, json, `${OCI}.config.v1+json`),
    layers,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const response = await client.pushManifest(repository, reference ?? digest, manifest);
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  return { digest, manifest, sizeBytes: bytes.length, tars };
}

/** The id of a projection below the top. @param layers digests of the layers from the base up to its own */
export function chainIdOf(layers: readonly string[]): string {
  return layers.reduce((parent, layer) => {
    const chain = parent === '' ? layer : `${parent} ${layer}`;
    return createHash('sha256').update(chain).digest('hex');
  }, '');
}

async function pushDescribed(client: V2Client, repository: string, bytes: Buffer, mediaType: string) {
  const { digest, response } = await client.pushBlob(repository, bytes);
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  return { mediaType, digest, size: bytes.length };
}
