import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#properties */
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { architecture: string; os: string };
  annotations?: Readonly<Record<string, string>>;
}

/** A directory that clients read as an image. https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md */
export interface Layout {
  directory: string;
  store(mediaType: string, bytes: Uint8Array): Promise<Descriptor>;
  storeJson(mediaType: string, value: unknown): Promise<Descriptor>;
  /** Of everything that is stored. */
  digests(): Promise<string[]>;
  /** Makes the one manifest or index what the layout is of. */
  tag(tag: string, descriptor: Descriptor, annotations: Readonly<Record<string, string>>): Promise<void>;
  /** A file beside `index.json`. */
  write(name: string, value: unknown): Promise<void>;
}

export async function createLayout(directory: string): Promise<Layout> {
  await mkdir(join(directory, 'blobs/sha256'), { recursive: true });
  const write = (name: string, value: unknown) => writeFile(join(directory, name), JSON.stringify(value));
  const store = async (mediaType: string, bytes: Uint8Array) => {
    const digest = digestOf(bytes);
    await writeFile(blobPath(directory, digest), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  await write('oci-layout', { imageLayoutVersion: '1.0.0' });
  return {
    directory,
    store,
    storeJson: (mediaType, value) => store(mediaType, Buffer.from(JSON.stringify(value))),
    digests: async () => (await readdir(join(directory, 'blobs/sha256'))).map((hex) => `sha256:${hex}`),
    tag: (tag, descriptor, annotations) =>
      write('index.json', {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [{ ...descriptor, annotations: { ...annotations, 'org.opencontainers.image.ref.name': tag } }],
      }),
    write,
  };
}

export const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export const pathInLayout = (digest: string) => `blobs/${digest.replace(':', '/')}`;

export const blobPath = (layoutDirectory: string, digest: string) => join(layoutDirectory, pathInLayout(digest));
