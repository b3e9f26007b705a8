// The expected conversion of an old image, computed from the image without the code under test.
import { createHash } from 'node:crypto';
import type { OldBucket } from './generator.ts';
import type { OldImage } from './images.ts';

type Descriptor = { mediaType: string; size: number; digest: string };

type OldConfig = { [name: string]: unknown; container_config?: { Cmd: string[] | null } };

export function manifestLayers(bucket: OldBucket, id: string): Descriptor[] {
  return withFiles(chainOf(bucket, id)).map(({ layer: { form, bytes, tar } }) => {
    // v2 has no media type for bzip2 and xz: these layers become plain tar.
    const content = form === 'bzip2' || form === 'xz' ? tar : bytes;
    const suffix = form.startsWith('docker') ? '.gzip' : '';
    const mediaType = `application/vnd.docker.image.rootfs.diff.tar${suffix}`;
    return { mediaType, size: content.length, digest: digestOf(content) };
  });
}

/** The image and its ancestors, base first. */
export function chainOf({ images }: OldBucket, id: string): OldImage[] {
  return (images.get(id)?.ancestry ?? []).toReversed().flatMap((ancestor) => images.get(ancestor) ?? []);
}

export function imageConfig(bucket: OldBucket, id: string): object {
  const chain = chainOf(bucket, id);
  const top = fieldsOf(chain.at(-1));
  return {
    architecture: 'amd64',
    os: 'linux',
    ...withoutNulls(top, CONFIG_FIELDS),
    history: chain.map((image) => {
      const fields = fieldsOf(image);
      const command = fields.container_config?.Cmd;
      return {
        ...withoutNulls(fields, ['created', 'author', 'comment']),
        ...(command && { created_by: command.join(' ') }),
        ...(image.layer.form === 'none' && { empty_layer: true }),
      };
    }),
    rootfs: { type: 'layers', diff_ids: withFiles(chain).map(({ layer }) => digestOf(layer.tar)) },
  };
}

/** The fields of a v1 JSON that Docker keeps in a config. `id`, `parent` and `Size` have other forms in v2. */
const CONFIG_FIELDS = [
  'architecture',
  'author',
  'comment',
  'config',
  'container',
  'container_config',
  'created',
  'docker_version',
  'os',
];

function fieldsOf(image: OldImage | undefined): OldConfig {
  return JSON.parse(Buffer.from(image?.json ?? '{}').toString()) as OldConfig;
}

function withoutNulls(fields: OldConfig, names: readonly string[]): object {
  return Object.fromEntries(names.flatMap((name) => (fields[name] == null ? [] : [[name, fields[name]]])));
}

/** Without images whose layer object is empty: a conversion leaves those out. */
function withFiles(chain: readonly OldImage[]): OldImage[] {
  return chain.filter(({ layer }) => layer.form !== 'none');
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
