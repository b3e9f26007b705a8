import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type Key, layout, parseImageRecord } from '../../../lib/model/layout.ts';
import { type ImageId, parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { sumOf } from '../../../lib/registry/v1-images/images.ts';
import { findProjectionRecord } from '../../../lib/registry/v1-images/projection-record.ts';
import type { StorageDriver } from '../../../lib/storage/driver.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { startRegistry } from '../../support/registry-server.ts';
import { payloadSum, V1Client } from '../../support/v1-client.ts';
import { V2Client } from '../../v2/client.ts';
import { chainIdOf, type PushedImage, pushImage } from '../../v2/image.ts';
import { Interceptor } from '../interceptor.ts';

const REPOSITORY = 'interrupted/image';
const NAME = parseRepositoryName(REPOSITORY);
const TAG = parseTag('1.0');

/** Projections whose process stops, or meets another one, between two of its writes. ETags are those of S3: equal bytes, equal ETags. */
describe('a projection that is interrupted', () => {
  const textOf = async (storage: StorageDriver, key: Key) => {
    const object = await storage.read(key);
    return object && Buffer.from(object.bytes).toString();
  };
  const topOf = ({ digest }: PushedImage) => digest.slice('sha256:'.length) as ImageId;
  const baseOf = ({ manifest }: PushedImage) =>
    chainIdOf((manifest as { layers: { digest: string }[] }).layers.slice(0, 1).map(({ digest }) => digest)) as ImageId;
  /** A server that makes projections behind its answers, for one push. */
  const pushBy = async (driver: StorageDriver, config: object = {}, repository = REPOSITORY) => {
    const server = await startRegistry(driver, { v1Layers: 'link', onLogLine: () => {} });
    try {
      const contents = ['base', 'top'];
      return await pushImage(new V2Client(server.url), repository, TAG, { contents, config });
    } finally {
      await server.idle();
      await server.stop();
    }
  };
  const pullFrom = async (storage: StorageDriver, { tars }: PushedImage, repository = REPOSITORY) => {
    const server = await startRegistry(storage, { v1Layers: 'link', runsBackgroundWork: false });
    try {
      const images = await new V1Client(server.url).pull(repository, TAG);
      assert.deepEqual(
        images.map(({ layer }) => gunzipSync(layer)),
        tars,
      );
      return images;
    } finally {
      await server.stop();
    }
  };
  const failing = (storage: StorageDriver, isMeant: (key: Key) => boolean) =>
    alterDriver(storage, (driver) => ({
      async put(key, ...rest) {
        if (isMeant(key)) throw new Error('the process dies here');
        return await driver.put(key, ...rest);
      },
    }));

  for (const [write, isMeant] of [
    ['JSON of the top image', (key: Key, top: string) => key === `images/${top}/json`],
    ['metadata of the tag', (key: Key) => key.endsWith('/tag1.0_json')],
    ['index images', (key: Key) => key.endsWith('/_index_images')],
  ] as const) {
    it(`before it wrote the ${write} is completed by the same push again`, async () => {
      const storage = new MemoryStorage();
      const probe = await pushBy(new MemoryStorage());
      const pushed = await pushBy(failing(storage, (key) => isMeant(key, topOf(probe))));
      assert.equal(topOf(pushed), topOf(probe));
      await pushBy(storage);
      const listed = await textOf(storage, layout.indexImages(NAME));
      assert.ok(listed?.includes(topOf(pushed)), `_index_images: ${listed}`);
      const metadata = layout.tagJson(NAME, TAG);
      assert.ok(metadata && (await storage.head(metadata)), 'the tag has metadata');
      assert.ok(await storage.head(layout.imageJson(topOf(pushed))));
      await pullFrom(storage, pushed);
    });
  }

  it('by a v1 push of its id keeps its ancestry, although that had the same bytes before it took the id', async () => {
    const storage = new MemoryStorage();
    const projecting = new Interceptor(storage);
    const pushing = new Interceptor(storage);
    const server = await startRegistry(storage, { v1Layers: 'link', runsBackgroundWork: false });
    const other = await startRegistry(pushing.driver, { v1Layers: 'link', runsBackgroundWork: false });
    let isProjected = () => {};
    const projected = new Promise<void>((resolve) => {
      isProjected = resolve;
    });
    try {
      const pushed = await pushImage(new V2Client(server.url), REPOSITORY, TAG, { contents: ['base', 'top'] });
      const top = topOf(pushed);
      const { tagProjections } = assembleRegistry(projecting.driver, { copiesLayers: false });
      let answered: Promise<Response> | undefined;
      // The projection has written the ancestry, and is about to write its grant.
      projecting.before(
        'put',
        (key) => key.startsWith(`oci/images/${top}/view/`),
        () =>
          new Promise<void>((goOn) => {
            pushing.before(
              'put',
              (key) => key === layout.imageAncestry(top),
              async () => {
                goOn();
                await projected;
              },
            );
            const body = JSON.stringify({ id: top, comment: 'by a v1 client' });
            answered = fetch(new URL(`/v1/images/${top}/json`, other.url), { method: 'PUT', body });
            void answered.then(() => goOn());
          }),
      );
      await tagProjections.update(NAME, TAG);
      assert.equal((await findProjectionRecord(storage, top))?.isComplete, true, 'it replaces what was pushed');
      const ancestry = JSON.parse((await textOf(storage, layout.imageAncestry(top))) ?? '');
      isProjected();
      assert.equal((await answered)?.status, 409);
      assert.deepEqual(JSON.parse((await textOf(storage, layout.imageAncestry(top))) ?? ''), ancestry);
      await pullFrom(storage, pushed);
    } finally {
      isProjected();
      await server.stop();
      await other.stop();
    }
  });

  it('before its JSON, which another one made with another time, is described as it is by the grants of later pushes', async () => {
    const storage = new MemoryStorage();
    const server = await startRegistry(storage, { v1Layers: 'link', runsBackgroundWork: false });
    try {
      const client = new V2Client(server.url);
      const names = ['interrupted/1', 'interrupted/2', 'interrupted/3'] as const;
      const pushed: PushedImage[] = [];
      for (const [index, repository] of names.entries()) {
        const config = { history: [{ created: `200${index}-01-01T00:00:00Z` }, {}] };
        pushed.push(await pushImage(client, repository, TAG, { contents: ['base', repository], config }));
      }
      const base = baseOf(pushed[0] ?? assert.fail());
      const dying = failing(storage, (key) => key === layout.imageJson(base));
      const projectionsBy = (driver: StorageDriver) => assembleRegistry(driver, { copiesLayers: false }).tagProjections;
      await assert.rejects(projectionsBy(dying).update(parseRepositoryName(names[0]), TAG), /dies here/);
      await projectionsBy(storage).update(parseRepositoryName(names[1]), TAG);
      await projectionsBy(storage).update(parseRepositoryName(names[2]), TAG);
      const json = await storage.read(layout.imageJson(base));
      const described = [...storage.objects.keys()].flatMap((key) => {
        const record = key.startsWith(layout.imageRecords(base)) ? parseImageRecord(key) : undefined;
        return record?.kind === 'grant' ? [[record.grant.repository, record.grant.content?.jsonSum]] : [];
      });
      const sum = json && sumOf(json.bytes);
      assert.deepEqual(Object.fromEntries(described), {
        ...Object.fromEntries(described),
        [names[1]]: sum,
        [names[2]]: sum,
      });
      assert.equal(described.length, names.length);
      for (const [index, repository] of names.entries()) {
        const [shown] = await pullFrom(storage, pushed[index] ?? assert.fail(), repository);
        assert.deepEqual(shown?.json, json?.bytes);
      }
    } finally {
      await server.stop();
    }
  });

  it('by another one with another creation time has the checksum of the JSON that is stored', async () => {
    const storage = new MemoryStorage();
    const interceptor = new Interceptor(storage);
    const server = await startRegistry(storage, { v1Layers: 'copy', runsBackgroundWork: false });
    try {
      const client = new V2Client(server.url);
      const of = (year: number) => ({ history: [{ created: `${year}-01-01T00:00:00Z` }, {}] });
      const [first, second] = ['interrupted/first', 'interrupted/second'] as const;
      const pushed = await pushImage(client, first, TAG, { contents: ['base', 'one'], config: of(2001) });
      await pushImage(client, second, TAG, { contents: ['base', 'two'], config: of(2002) });
      const base = baseOf(pushed);
      const one = assembleRegistry(interceptor.driver, { copiesLayers: true }).tagProjections;
      const two = assembleRegistry(storage, { copiesLayers: true }).tagProjections;
      const isSum = (key: Key) => key === layout.imageChecksum(base);
      interceptor.before('put', isSum, () => two.update(parseRepositoryName(second), TAG));
      await one.update(parseRepositoryName(first), TAG);
      const [json, layer, sums] = await Promise.all([
        storage.read(layout.imageJson(base)),
        storage.read(layout.imageLayer(base)),
        textOf(storage, layout.imageChecksum(base)),
      ]);
      assert.ok(json && layer && sums);
      assert.match(Buffer.from(json.bytes).toString(), /2002/, 'the JSON of the second is there first');
      assert.deepEqual(JSON.parse(sums), [payloadSum(json.bytes, layer.bytes)]);
    } finally {
      await server.stop();
    }
  });
});
