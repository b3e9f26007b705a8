// The images whose life is tested: who pushes them, and how they are deleted.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { mapConcurrently } from '../../lib/concurrency/map-concurrently.ts';
import { tar } from '../support/tar.ts';
import { V1Client, type V1Image } from '../support/v1-client.ts';
import type { Engine } from './engine.ts';
import { incompressible, makeImageOf, makeIndex, type TestImage, type TestIndex } from './images.ts';
import { digestOf } from './oci-layout.ts';
import { run } from './programs.ts';

const KiB = 1024;

/** `overwritten`: its tag is pushed again with the image of the repository that is kept. */
export type Fate =
  | 'kept'
  | 'v1 DELETE of the tag'
  | 'v1 DELETE of the repository'
  | 'v2 DELETE of the tag'
  | 'v2 DELETE of the digest'
  | 'overwritten'
  | 'retention';

type Content =
  | { by: 'crane' | 'Docker 20.10' | 'Docker 29' | 'oras'; image: TestImage }
  | { by: 'oras index'; index: TestIndex }
  | { by: 'v1'; chain: readonly V1Image[] };

export type LifeImage = Content & {
  repository: string;
  tag: string;
  fate: Fate;
  /** Of its layers' tars, base first; absent for an index. */
  diffIds?: string[];
};

/** The second of the indexes that are deleted has a child with a tag of its own. */
export const INDEX_OF_TAGGED_CHILD = 'life/index:i1';
export const TAGGED_CHILD = 'life/index:child';
export const KEPT_WITH_REFERRER = 'life/signed:s0';

type Group = { fate: Fate; keeps?: number; by: LifeImage['by'] };

/** The repositories, with how many images each gets; the first `keeps` of them, by default one, are kept. */
const GROUPS: readonly (Group & { name: string; count: number })[] = [
  { name: 'overwritten', count: 10, by: 'crane', fate: 'overwritten' },
  { name: 'tag', count: 10, by: 'crane', fate: 'v2 DELETE of the tag' },
  { name: 'digest', count: 10, by: 'crane', fate: 'v2 DELETE of the digest', keeps: 0 },
  { name: 'v1-tag', count: 10, by: 'crane', fate: 'v1 DELETE of the tag' },
  { name: 'whole', count: 10, by: 'crane', fate: 'v1 DELETE of the repository', keeps: 0 },
  { name: 'ruled', count: 10, by: 'crane', fate: 'retention' },
  { name: 'old', count: 10, by: 'v1', fate: 'v1 DELETE of the tag', keeps: 2 },
  { name: 'old-whole', count: 6, by: 'v1', fate: 'v1 DELETE of the repository', keeps: 0 },
  { name: 'old-tag', count: 4, by: 'v1', fate: 'v2 DELETE of the tag', keeps: 0 },
  { name: 'docker-20', count: 6, by: 'Docker 20.10', fate: 'v2 DELETE of the tag' },
  { name: 'docker-29', count: 6, by: 'Docker 29', fate: 'v2 DELETE of the digest' },
  { name: 'signed', count: 4, by: 'oras', fate: 'v2 DELETE of the digest' },
  { name: 'index', count: 4, by: 'oras index', fate: 'v2 DELETE of the digest' },
];

/** 100 images, ten of which are kept. */
export async function makeLifeImages(directory: string): Promise<LifeImage[]> {
  const images: LifeImage[] = [];
  for (const { name, count, by, fate, keeps = 1 } of GROUPS) {
    for (let index = 0; index < count; index++) {
      const tag = `${name[0]}${index}`;
      const place = { repository: `life/${name}`, tag, fate: index < keeps ? 'kept' : fate } as const;
      const number = images.length;
      const own = join(directory, String(number));
      if (by === 'v1') images.push({ ...place, ...v1Content(number) });
      else if (by === 'oras index') images.push({ ...place, by, index: await makeIndex(own, tag) });
      else {
        const image = await makeImageOf(own, `life:${tag}`, layersOf(number));
        images.push({ ...place, by, image, diffIds: image.layers.map(({ diffId }) => diffId) });
      }
    }
  }
  return images;
}

/** Four bases, eight layers above them, and a layer of the image's own; some share one that is stored in parts. */
function layersOf(number: number) {
  const layer = (name: string, sizeBytes: number) => [{ path: name, content: incompressible(sizeBytes, name) }];
  return [
    layer(`base-${number % 4}`, 60 * KiB),
    ...(number % 20 === 0 || number % 20 === 5 ? [layer(`big-${number % 3}`, 5 * KiB * KiB)] : []),
    layer(`middle-${number % 8}`, 30 * KiB),
    layer(`own-${number}`, 8 * KiB),
  ];
}

function v1Content(number: number): Content & { diffIds: string[] } {
  const names = [`base-${number % 2}`, `middle-${number % 4}`, `own-${number}`].map((name) => `v1-${name}`);
  const ids = names.map((name) => createHash('sha256').update(name).digest('hex'));
  const tars = names.map((name) => tar([{ path: name, content: incompressible(20 * KiB, name) }]));
  const chain = ids.map((id, index): V1Image => {
    const parent = ids[index - 1];
    const fields = {
      id,
      ...(parent && { parent }),
      created: '2014-05-15T02:37:51Z',
      os: 'linux',
      architecture: 'amd64',
    };
    return { id, json: Buffer.from(JSON.stringify(fields)), layer: gzipSync(tars[index] ?? assert.fail()) };
  });
  return { by: 'v1', chain, diffIds: tars.map(digestOf) };
}

/** @returns what a v2 client knows the image by; undefined for one that a v1 client pushes */
async function pushLifeImage(
  host: string,
  item: LifeImage,
  { engineNamed, note }: { engineNamed: (name: string) => Engine; note: string },
): Promise<string | undefined> {
  const reference = `${host}/${item.repository}:${item.tag}`;
  switch (item.by) {
    case 'crane':
      await run('crane', ['push', item.image.layoutDirectory, reference]);
      return item.image.manifestDigest;
    case 'oras':
      await copyByOras(item.image.layoutDirectory, item.tag, reference);
      await run('oras', ['attach', '--plain-http', '--artifact-type=application/vnd.note', reference, 'note.txt'], {
        cwd: note,
      });
      return item.image.manifestDigest;
    case 'oras index':
      await copyByOras(item.index.layoutDirectory, item.index.tag, reference);
      return item.index.digest;
    case 'v1':
      await new V1Client(new URL(`http://${host}`)).push(item.repository, item.chain, {
        [item.tag]: item.chain.at(-1)?.id ?? assert.fail(),
      });
      return undefined;
    default: {
      const engine = engineNamed(item.by);
      await engine.docker('load', '-i', item.image.archive);
      await engine.docker('tag', item.image.name, reference);
      const output = await engine.docker('push', reference);
      return /digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1] ?? assert.fail(output);
    }
  }
}

const copyByOras = (directory: string, tag: string, reference: string) =>
  run('oras', ['cp', '--from-oci-layout', '--to-plain-http', `${directory}:${tag}`, reference]);

/** Pushes the images, those of the engines and of v1 clients one after the other. @returns their digests */
export async function pushLifeImages(
  host: string,
  images: readonly LifeImage[],
  options: { engineNamed: (name: string) => Engine; note: string },
): Promise<Map<LifeImage, string>> {
  const digests = new Map<LifeImage, string>();
  const push = async (item: LifeImage) => {
    const digest = await pushLifeImage(host, item, options);
    if (digest !== undefined) digests.set(item, digest);
  };
  // The newest of its repository is what the rule keeps.
  const isLast = ({ fate, repository }: LifeImage) => fate === 'kept' && repository === 'life/ruled';
  const isAlone = ({ by }: LifeImage) => by === 'v1' || by.startsWith('Docker');
  const rest = images.filter((item) => !isLast(item));
  await mapConcurrently(
    rest.filter((item) => !isAlone(item)),
    push,
    4,
  );
  for (const item of [...rest.filter(isAlone), ...images.filter(isLast)]) await push(item);
  return digests;
}

export const inflatedDigest = (layer: Uint8Array) =>
  digestOf(layer[0] === 0x1f && layer[1] === 0x8b ? gunzipSync(layer) : layer);
