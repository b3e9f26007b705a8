import { createCipheriv, createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type TarEntry, tar } from '../tar.ts';
import { pathOf, run } from './programs.ts';

const MiB = 1024 * 1024;

export interface Layer {
  digest: string;
  /** Digest of the tar inside. */
  diffId: string;
  sizeBytes: number;
}

/** An image whose every byte is known, in the forms that clients read. */
export interface TestImage {
  /** What an archive calls it: `stowage.test/centos:6.4`. */
  name: string;
  manifestDigest: string;
  configDigest: string;
  layers: readonly Layer[];
  /** An OCI layout, tagged with the tag of `name`. */
  layoutDirectory: string;
  /** The same as one file that `docker load` of any age reads. */
  archive: string;
}

/** What Docker stores for a layer without files: 32 bytes, the gzip of two empty tar blocks. */
export const EMPTY_LAYER = Buffer.from('1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000', 'hex');
const EMPTY_TAR = Buffer.alloc(2 * 512);

/** Bytes that no compressor makes smaller; the same for the same seed. */
export function incompressible(sizeBytes: number, seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

/**
 * The image of the README: a base, `bigLayerMiB` of data, the empty layer, and a few small files.
 * Another `seed` makes other data, so that no registry has it yet.
 */
export async function makeCentos(directory: string, bigLayerMiB: number, seed = ''): Promise<TestImage> {
  const busybox = await readFile(pathOf('busybox'));
  const halves = ['first', 'second'].map((name): TarEntry => {
    return { path: `srv/${name}`, content: incompressible((bigLayerMiB * MiB) / 2, name + seed) };
  });
  return makeImage(directory, 'centos:6.4', [
    compressed([{ path: 'bin/' }, { path: 'bin/busybox', content: busybox, mode: 0o755 }]),
    compressed([{ path: 'srv/' }, ...halves], 0),
    { tarball: EMPTY_TAR, blob: EMPTY_LAYER },
    compressed([
      { path: 'etc/' },
      { path: 'etc/centos-release', content: Buffer.from('CentOS release 6.4 (Final)\n') },
      { path: `etc/${'long'.repeat(20)}`, content: Buffer.from('a name of 84 bytes\n') },
      { path: 'etc/.wh.gone', content: Buffer.alloc(0) },
    ]),
  ]);
}

interface LayerBytes {
  tarball: Buffer;
  blob: Buffer;
}

function compressed(entries: readonly TarEntry[], level = 6): LayerBytes {
  const tarball = tar(entries);
  return { tarball, blob: gzipSync(tarball, { level }) };
}

async function makeImage(directory: string, name: string, layerBytes: readonly LayerBytes[]): Promise<TestImage> {
  const layoutDirectory = join(directory, 'layout');
  await mkdir(join(layoutDirectory, 'blobs/sha256'), { recursive: true });
  const store = async (bytes: Uint8Array) => {
    const digest = digestOf(bytes);
    await writeFile(blobPath(layoutDirectory, digest), bytes);
    return { digest, size: bytes.length };
  };
  const storeJson = (value: unknown) => store(Buffer.from(JSON.stringify(value)));

  const layers: Layer[] = [];
  for (const { tarball, blob } of layerBytes) {
    const { digest, size } = await store(blob);
    layers.push({ digest, diffId: digestOf(tarball), sizeBytes: size });
  }
  const config = await storeJson({
    created: '2013-03-09T12:00:00Z',
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/busybox', 'sh'], Labels: { 'stowage.test': name } },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map((_, index) => ({ created: '2013-03-09T12:00:00Z', created_by: `layer ${index}` })),
  });
  const manifest = await storeJson({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: layers.map(({ digest, sizeBytes }) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest,
      size: sizeBytes,
    })),
  });

  const fullName = `stowage.test/${name}`;
  const files = {
    'oci-layout': { imageLayoutVersion: '1.0.0' },
    'index.json': {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          ...manifest,
          platform: { architecture: 'amd64', os: 'linux' },
          annotations: {
            'io.containerd.image.name': fullName, // Docker 29 reads this
            'org.opencontainers.image.ref.name': name.slice(name.indexOf(':') + 1),
          },
        },
      ],
    },
    // and Docker 20.10 this
    'manifest.json': [
      {
        Config: pathInLayout(config.digest),
        RepoTags: [fullName],
        Layers: layers.map(({ digest }) => pathInLayout(digest)),
      },
    ],
  };
  for (const [path, content] of Object.entries(files)) {
    await writeFile(join(layoutDirectory, path), JSON.stringify(content));
  }
  const archive = join(directory, 'archive.tar');
  await run('tar', ['-C', layoutDirectory, '-cf', archive, ...Object.keys(files), 'blobs']);
  return {
    name: fullName,
    manifestDigest: manifest.digest,
    configDigest: config.digest,
    layers,
    layoutDirectory,
    archive,
  };
}

export const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const pathInLayout = (digest: string) => `blobs/${digest.replace(':', '/')}`;

export const blobPath = (layoutDirectory: string, digest: string) => join(layoutDirectory, pathInLayout(digest));
