import { createCipheriv, createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type TarEntry, tar } from '../support/tar.ts';
import { createLayout, type Descriptor, digestOf, type Layout, pathInLayout } from './oci-layout.ts';
import { pathOf, run } from './programs.ts';

const MiB = 1024 * 1024;
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

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

/** An image with one layer for each list of files. @param name with a tag: `app:1.0` */
export async function makeImageOf(
  directory: string,
  name: string,
  layers: readonly (readonly TarEntry[])[],
): Promise<TestImage> {
  return makeImage(
    directory,
    name,
    layers.map((entries) => compressed(entries)),
  );
}

/** One tag for several platforms. */
export interface TestIndex {
  digest: string;
  /** Of its images, by architecture. */
  images: Readonly<Record<string, string>>;
  /** Of all that is below it, blobs and manifests, and of itself. */
  digests: readonly string[];
  /** An OCI layout, in which a tag names it. */
  layoutDirectory: string;
  tag: string;
  /** The same as one file. */
  archive: string;
}

/** Images for two architectures with a base in common, and what a builder says of how it made them, as BuildKit does. */
export async function makeIndex(directory: string, seed = ''): Promise<TestIndex> {
  const layout = await createLayout(join(directory, 'index'));
  const base = compressed([{ path: 'etc/' }, { path: 'etc/base', content: Buffer.from('the base\n') }]);
  const children: Descriptor[] = [];
  for (const architecture of ['amd64', 'arm64']) {
    const content = incompressible(300_000, architecture + seed);
    const own = compressed([{ path: 'srv/' }, { path: `srv/${architecture}`, content }]);
    const { manifest } = await storeImage(layout, 'index:multi', architecture, [base, own]);
    children.push(manifest);
  }
  const images = Object.fromEntries(children.map(({ platform, digest }) => [platform?.architecture ?? '', digest]));
  children.push({
    ...(await layout.storeJson(OCI_MANIFEST, {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: await layout.storeJson('application/vnd.oci.image.config.v1+json', {
        architecture: 'unknown',
        os: 'unknown',
      }),
      layers: [
        await layout.storeJson('application/vnd.in-toto+json', { predicateType: 'https://slsa.dev/provenance/v1' }),
      ],
    })),
    platform: { architecture: 'unknown', os: 'unknown' },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': images.amd64 ?? '',
    },
  });
  const index = await layout.storeJson(OCI_INDEX, { schemaVersion: 2, mediaType: OCI_INDEX, manifests: children });
  const tag = 'multi';
  await layout.tag(tag, index, { 'io.containerd.image.name': `stowage.test/index:${tag}` });
  const archive = join(directory, 'index.tar');
  await run('tar', ['-C', layout.directory, '-cf', archive, 'oci-layout', 'index.json', 'blobs']);
  const digests = await layout.digests();
  return { digest: index.digest, images, digests, layoutDirectory: layout.directory, tag, archive };
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
  const layout = await createLayout(join(directory, 'layout'));
  const { manifest, config, layers } = await storeImage(layout, name, 'amd64', layerBytes);
  const fullName = `stowage.test/${name}`;
  await layout.tag(name.slice(name.indexOf(':') + 1), manifest, { 'io.containerd.image.name': fullName }); // for Docker 29
  // and for Docker 20.10
  await layout.write('manifest.json', [
    {
      Config: pathInLayout(config.digest),
      RepoTags: [fullName],
      Layers: layers.map(({ digest }) => pathInLayout(digest)),
    },
  ]);
  const archive = join(directory, 'archive.tar');
  await run('tar', ['-C', layout.directory, '-cf', archive, 'oci-layout', 'index.json', 'manifest.json', 'blobs']);
  return {
    name: fullName,
    manifestDigest: manifest.digest,
    configDigest: config.digest,
    layers,
    layoutDirectory: layout.directory,
    archive,
  };
}

/** Stores all that an image is made of. */
async function storeImage(layout: Layout, name: string, architecture: string, layerBytes: readonly LayerBytes[]) {
  const layers: Layer[] = [];
  for (const { tarball, blob } of layerBytes) {
    const { digest, size } = await layout.store(OCI_LAYER, blob);
    layers.push({ digest, diffId: digestOf(tarball), sizeBytes: size });
  }
  const config = await layout.storeJson('application/vnd.oci.image.config.v1+json', {
    created: '2013-03-09T12:00:00Z',
    architecture,
    os: 'linux',
    config: { Cmd: ['/bin/busybox', 'sh'], Labels: { 'stowage.test': name } },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map((_, index) => ({ created: '2013-03-09T12:00:00Z', created_by: `layer ${index}` })),
  });
  const manifest = await layout.storeJson(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config,
    layers: layers.map(({ digest, sizeBytes }) => ({ mediaType: OCI_LAYER, digest, size: sizeBytes })),
  });
  return { manifest: { ...manifest, platform: { architecture, os: 'linux' } }, config, layers };
}
