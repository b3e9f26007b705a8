import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { digestOf } from '../../../lib/model/content-digest.ts';
import { layout } from '../../../lib/model/layout.ts';
import { type Digest, parseRepositoryName, type Tag } from '../../../lib/model/names.ts';
import { assembleRegistry, type Registry } from '../../../lib/registry/registry.ts';
import { usageOfDeletion } from '../../../lib/registry/usage/by-tag.ts';
import { encodeText } from '../../../lib/streams/bytes.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const LEVELS = 4;
/** By as many ways as this to the power of `LEVELS` the top leads to the image. */
const REPEATED = 120;

describe('indexes that list one another many times', () => {
  const repository = parseRepositoryName('nested/app');
  const storage = new MemoryStorage();
  let server: RegistryServer;
  let registry: Registry;
  let top: Digest;
  before(async () => {
    server = await startRegistry(storage, { runsBackgroundWork: false });
    const client = new V2Client(server.url);
    const { digest, sizeBytes } = await pushImage(client, repository, undefined, { contents: ['a'] });
    let children = [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: sizeBytes }];
    for (let level = 1; level <= LEVELS; level++) {
      const pair = ['a', 'b'].map(async (n) => {
        const manifests = Array.from({ length: REPEATED }, () => children).flat();
        const index = { schemaVersion: 2, mediaType: INDEX, manifests, annotations: { n } };
        const { headers, status } = await client.pushManifest(repository, `${level}-${n}`, index);
        assert.equal(status, 201);
        const size = Buffer.byteLength(JSON.stringify(index));
        return { mediaType: INDEX, digest: headers.get('Docker-Content-Digest') ?? '', size };
      });
      children = await Promise.all(pair);
    }
    top = children[0]?.digest as Digest;
    registry = assembleRegistry(storage, { copiesLayers: false, projectsLazily: false });
  });
  after(() => server.stop());

  it('are read once each to count what a deletion frees', async () => {
    const usage = await registry.usage.ofDeletion(repository, new Set([`${LEVELS}-a` as Tag]));
    assert.equal(usage?.freedBytes, 0);
    assert.ok(usage.totalBytes > 0);
  });

  it('are not counted where they lead to too many blobs', async () => {
    const chosen = new Set([`${LEVELS}-a` as Tag]);
    const usageOf = (maxBlobs: number) => usageOfDeletion(storage, registry.tags, repository, { chosen, maxBlobs });
    assert.equal(await usageOf(2 * LEVELS), undefined, 'each of the indexes leads to a config and a layer');
    assert.ok(await usageOf(1000));
  });

  it('are read once each for their facts', async () => {
    storage.log.length = 0;
    assert.equal((await registry.facts.find(repository, top))?.kind, 'index');
    assert.ok(storage.log.length < 100, `${storage.log.length} requests`);
  });
});

describe('an index of twelve indexes of twelve images', () => {
  const repository = parseRepositoryName('wide/app');
  const storage = new MemoryStorage();
  const { facts } = assembleRegistry(storage, { copiesLayers: false });
  const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
  const put = async (mediaType: string, content: object) => {
    const bytes = encodeText(JSON.stringify({ schemaVersion: 2, mediaType, ...content }));
    const digest = digestOf(bytes);
    await storage.put(layout.manifest(repository, digest), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const image = (name: string) => {
    const config = {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: digestOf(encodeText(name)),
      size: 2,
    };
    return put(IMAGE, { config, layers: [] });
  };
  const numbers = Array.from({ length: 12 }, (_, n) => n);

  it('gets its facts by two readers, of which each makes those of a hundred manifests at most', async () => {
    const indexes = numbers.map(async (n) =>
      put(INDEX, { manifests: await Promise.all(numbers.map((m) => image(`${n} ${m}`))) }),
    );
    const { digest } = await put(INDEX, { manifests: await Promise.all(indexes) });
    const madeByReader = async () => {
      storage.log.length = 0;
      assert.equal((await facts.find(repository, digest))?.kind, 'index');
      return storage.log.filter((line) => line.startsWith('GET') && line.includes('/manifests/')).length;
    };
    assert.equal(await madeByReader(), 100);
    assert.equal((await facts.all(repository)).get(digest), undefined);
    const madeNext = await madeByReader();
    assert.ok(madeNext > 0 && madeNext <= 100, `${madeNext}`);
    assert.equal((await facts.all(repository)).get(digest)?.totalBytes, 2 * 144);
    assert.equal(await madeByReader(), 0);
  });
});
