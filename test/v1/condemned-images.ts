import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { digestOfImageBlob, type Key, layout } from '../../lib/model/layout.ts';
import { type ImageId, parseDigest, parseImageId, parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import {
  condemnImage,
  endRemoving,
  type MarkedCell,
  readImageCell,
  startRemoving,
} from '../../lib/registry/v1-images/image-cell.ts';
import { readLayerDescriptor } from '../../lib/registry/v1-images/layers.ts';
import { expireLooks } from '../registry/condemned/expire-looks.ts';
import { Interceptor } from '../registry/interceptor.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { payloadSum, V1Client, type V1Image } from '../support/v1-client.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { newImage, newRepository, type OpenStorage, type TestStorage, useStorage } from './use-registry.ts';

const RUN = 'c0ffee00-0000-4000-8000-000000000000';

/** How many pushes a test holds up side by side. */
const PUSHES_AT_ONCE = 24;

/** A collector that does its work in steps, between which a test lets others act. */
class ScriptedCollector {
  readonly #storage: TestStorage;
  readonly #id: ImageId;
  #cell: MarkedCell | undefined;

  constructor(storage: TestStorage, id: string) {
    this.#storage = storage;
    this.#id = parseImageId(id);
  }

  async state(): Promise<string> {
    return (await readImageCell(this.#storage.driver, this.#id)).state;
  }

  async condemn(): Promise<void> {
    const cell = await readImageCell(this.#storage.driver, this.#id);
    if (cell.state === 'live') assert.ok(await condemnImage(this.#storage.driver, this.#id, cell, RUN));
  }

  /** @returns false if the image is not condemned any more */
  async take(): Promise<boolean> {
    const cell = await readImageCell(this.#storage.driver, this.#id);
    if (cell.state === 'live') return false;
    this.#cell = await startRemoving(this.#storage.driver, this.#id, cell, RUN);
    return this.#cell !== undefined;
  }

  /** Deletes what is below `images/`, the layer first, then the records, the projection record last. */
  async *deletions(): AsyncGenerator<string> {
    const records = await this.#storage.keysBelow(layout.imageRecords(this.#id));
    const isKept = (key: string) => key === layout.imageCell(this.#id) || key === layout.projectionRecord(this.#id);
    const parts = [layout.imageLayer(this.#id), layout.imageJson(this.#id)];
    const others = (await this.#storage.keysBelow(layout.image(this.#id))).filter((key) => !parts.includes(key as Key));
    for (const key of [...parts, ...others, ...records.filter((record) => !isKept(record))]) {
      await this.#storage.driver.delete(key as Key);
      yield key;
    }
    await this.#storage.driver.delete(layout.projectionRecord(this.#id));
  }

  async end(): Promise<void> {
    assert.ok(this.#cell && (await endRemoving(this.#storage.driver, this.#id, this.#cell, CONDITIONAL)));
  }

  /** Removes the image if it is still condemned and not tagged. @param pause is called between any two steps */
  async remove(isTagged: () => Promise<boolean>, pause: () => Promise<void>): Promise<void> {
    if ((await isTagged()) || !(await this.take())) return;
    await pause();
    for await (const _ of this.deletions()) await pause();
    await this.end();
    await pause();
  }
}

const CONDITIONAL = { hasConditionalDeletes: false };

/** v1 images and projections that the collector condemns or removes while clients push, tag and pull them. */
export function v1CondemnedImagesSuite(name: string, open: OpenStorage): void {
  describe(`v1 images that the collector has condemned, on ${name}`, () => {
    const storage = useStorage(open);
    let interceptor: Interceptor;
    let server: RegistryServer;
    /** Its writes can be held up. */
    let intercepted: RegistryServer;
    /** Another process, which remembers nothing of the first. */
    let other: RegistryServer;
    let v1: V1Client;
    let v2: V2Client;
    before(async () => {
      interceptor = new Interceptor(storage.driver);
      server = await startRegistry(storage.driver, { v1Layers: 'link' });
      intercepted = await startRegistry(interceptor.driver, { v1Layers: 'link', runsBackgroundWork: false });
      other = await startRegistry(storage.driver, { v1Layers: 'link', runsBackgroundWork: false });
      v1 = new V1Client(server.url);
      v2 = new V2Client(server.url);
    });
    after(async () => {
      await server.stop();
      await intercepted.stop();
      await other.stop();
    });

    const collectorOf = (id: string) => new ScriptedCollector(storage, id);
    /** The requests of a push, each with what it sends. */
    const requestsOf = ({ id, json, layer }: V1Image, repository: string) =>
      [
        ['json', `/v1/images/${id}/json`, { body: json }],
        ['layer', `/v1/images/${id}/layer`, { body: layer }],
        [
          'checksum',
          `/v1/images/${id}/checksum`,
          { headers: { 'X-Docker-Checksum-Payload': payloadSum(json, layer) } },
        ],
        ['tag', `/v1/repositories/${repository}/tags/latest`, { body: JSON.stringify(id) }],
      ] as const;
    /** A PUT of which 503 is a proper answer. */
    const put = async (
      { url }: RegistryServer,
      path: string,
      { body, headers = {} }: { body?: string | Uint8Array; headers?: Record<string, string> },
    ) => {
      const response = await fetch(new URL(path, url), { method: 'PUT', headers, body: body ? Buffer.from(body) : '' });
      return { status: response.status, text: await response.text(), retryAfter: response.headers.get('Retry-After') };
    };
    const isPulled = async (repository: string, images: readonly V1Image[], from = other) => {
      const pulled = await new V1Client(from.url).pull(repository, 'latest');
      assert.deepEqual(
        pulled.map(({ id, layer }) => ({ id, layer: Buffer.from(layer) })),
        images.map(({ id, layer }) => ({ id, layer: Buffer.from(layer) })),
      );
    };

    for (const step of ['json', 'layer', 'checksum', 'tag']) {
      it(`a push whose ${step} comes while the image is removed gets 503, and succeeds once the removal has ended`, async () => {
        const [image, repository] = [newImage(), newRepository()];
        const collector = collectorOf(image.id);
        for (const [what, path, sent] of requestsOf(image, repository)) {
          if (what === step) {
            await collector.condemn();
            await collector.take();
            const refused = await put(server, path, sent);
            assert.deepEqual([refused.status, await collector.state()], [503, 'removing'], refused.text);
            assert.ok(refused.retryAfter);
            for await (const _ of collector.deletions());
            await collector.end();
            break;
          }
          assert.equal((await put(server, path, sent)).status, 200);
        }
        await v1.push(repository, [image], { latest: image.id });
        await isPulled(repository, [image]);
      });

      it(`a push whose ${step} comes while the image is condemned makes it live`, async () => {
        const [image, repository] = [newImage(), newRepository()];
        const collector = collectorOf(image.id);
        for (const [what, path, sent] of requestsOf(image, repository)) {
          if (what === step) await collector.condemn();
          assert.equal((await put(server, path, sent)).status, 200);
          if (what === step) assert.equal(await collector.state(), 'live');
        }
        assert.equal(await collector.take(), false);
        await isPulled(repository, [image]);
      });
    }

    it('a push of an image that is complete and condemned makes it live, and the client skips it', async () => {
      const [image, repository] = [newImage(), newRepository()];
      await v1.push(repository, [image], { latest: image.id });
      await collectorOf(image.id).condemn();
      assert.equal((await put(server, `/v1/images/${image.id}/json`, { body: image.json })).status, 409);
      assert.equal(await collectorOf(image.id).state(), 'live');
    });

    it('a tag of an image whose ancestor is condemned makes the whole chain live', async () => {
      const [base, repository, elsewhere] = [newImage(), newRepository(), newRepository()];
      const top = newImage({ parent: base });
      await v1.push(repository, [base, top], { latest: top.id });
      for (const { id } of [base, top]) await collectorOf(id).condemn();
      const tagged = await put(server, `/v1/repositories/${elsewhere}/tags/latest`, {
        body: JSON.stringify(top.id),
      });
      assert.equal(tagged.status, 200);
      for (const { id } of [base, top]) assert.equal(await collectorOf(id).state(), 'live');
    });

    it('a tag of an image whose ancestor is being removed, or has been, is refused', async () => {
      const [base, repository, elsewhere] = [newImage(), newRepository(), newRepository()];
      const top = newImage({ parent: base });
      await v1.push(repository, [base, top], { latest: top.id });
      const path = `/v1/repositories/${elsewhere}/tags/latest`;
      const tag = async () => (await put(server, path, { body: JSON.stringify(top.id) })).status;
      const collector = collectorOf(base.id);
      await collector.condemn();
      await collector.take();
      assert.equal(await tag(), 503);
      for await (const _ of collector.deletions());
      await collector.end();
      assert.equal(await tag(), 404);
      assert.equal(await storage.textOf(layout.tag(parseRepositoryName(elsewhere), parseTag('latest'))), undefined);
    });

    it('a v2 pull that converts a condemned image makes it live, and gets 503 while it is removed', async () => {
      const [image, repository] = [newImage(), newRepository()];
      await v1.push(repository, [image], { latest: image.id });
      const collector = collectorOf(image.id);
      await collector.condemn();
      await collector.take();
      const manifest = `/v2/${repository}/manifests/latest`;
      assert.equal((await v2.send('GET', manifest)).status, 503);
      await collector.end();
      await collector.condemn();
      assert.equal((await v2.send('GET', manifest)).status, 200);
      assert.equal(await collector.state(), 'live');
    });

    // For no write, and then for each write of a push: it is held up, the collector condemns the image, its look expires, and the
    // collector removes the image as far as it gets, then the write goes on.
    it('an image that lacks something never looks complete, at whichever write its push is held up', async () => {
      const isTagged = async (repository: string) =>
        (await storage.textOf(layout.tag(parseRepositoryName(repository), parseTag('latest')))) !== undefined;
      const assertWhole = async (id: string, repository: string, when: string) => {
        const keys = new Set(await storage.keysBelow(`images/${id}/`));
        const has = (part: string) => keys.has(`images/${id}/${part}`);
        const isRemoved = (await collectorOf(id).state()) === 'removing';
        const isWhole = has('json') && has('layer') && has('ancestry');
        if (has('json') && !has('_inprogress') && !isRemoved) assert.ok(isWhole, `${[...keys]} ${when}`);
        if (await isTagged(repository)) assert.ok(isWhole && !isRemoved, `tagged: ${[...keys]} ${when}`);
      };
      /** @returns how many writes the push got to */
      const pushHeldUp = async (
        heldUp: number,
        { pauses = 0, lookExpires = async () => {} }: { pauses?: number; lookExpires?: () => Promise<void> },
      ): Promise<number> => {
        const [image, repository] = [newImage(), newRepository()];
        const collector = collectorOf(image.id);
        const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>();
        let removal: Promise<void> = Promise.resolve();
        const act = async () => {
          await collector.condemn();
          await lookExpires();
          let left = pauses;
          const { promise: isPaused, resolve: paused } = Promise.withResolvers<void>();
          const pause = async () => {
            await assertWhole(image.id, repository, `while write ${heldUp} is held up`);
            if (left-- !== 0) return;
            paused();
            await goesOn;
          };
          removal = collector.remove(() => isTagged(repository), pause);
          await Promise.race([removal, isPaused]);
        };
        let seen = 0;
        const isMeant = (key: Key) => (key.includes(image.id) || key.includes(repository)) && ++seen === heldUp;
        interceptor.before('put', isMeant, act);
        interceptor.before('delete', isMeant, act);
        for (const [, path, sent] of requestsOf(image, repository)) {
          const { status } = await put(intercepted, path, sent);
          await assertWhole(image.id, repository, `after write ${heldUp}`);
          if (status !== 200) break;
        }
        await lookExpires();
        goOn();
        await removal;
        await assertWhole(image.id, repository, 'in the end');
        await v1.push(repository, [image], { latest: image.id });
        await isPulled(repository, [image]);
        return seen;
      };
      const writes = await pushHeldUp(0, {});
      assert.ok(writes > 10, `${writes} writes`);
      const cases = Array.from({ length: writes }, (_, index) =>
        [0, 1, 2, Number.POSITIVE_INFINITY].map((pauses) => ({ heldUp: index + 1, pauses })),
      ).flat();
      for (let from = 0; from < cases.length; from += PUSHES_AT_ONCE) {
        const batch = cases.slice(from, from + PUSHES_AT_ONCE);
        const { promise: expired, resolve: goOn } = Promise.withResolvers<void>();
        const expiring = new Set<object>();
        // All looks of a process expire together, so each push waits until the others are held up, or have ended, as well.
        const expireFor = async (push: object) => {
          const isLast = expiring.size < batch.length && expiring.add(push).size === batch.length;
          if (isLast) expireLooks();
          if (isLast) goOn();
          await expired;
        };
        await Promise.all(
          batch.map((held) => pushHeldUp(held.heldUp, { pauses: held.pauses, lookExpires: () => expireFor(held) })),
        );
      }
    });

    describe('projections', () => {
      /** A v2 image of two layers, with the ids of its projections, base first. */
      const pushProjected = async (compression: 'gzip' | 'zstd' = 'gzip') => {
        const repository = newRepository();
        const contents = [`base of ${repository}`, 'top'];
        const pushed = await pushImage(v2, repository, 'latest', { contents, compression });
        await server.idle();
        const images = await v1.pull(repository, 'latest');
        return { repository, pushed, images, ids: images.map(({ id }) => parseImageId(id)) };
      };
      /** Does the background work of a push, in another process. */
      const projectIn = async (repository: string) => {
        const { tagProjections } = assembleRegistry(storage.driver, { copiesLayers: false });
        await tagProjections.update(parseRepositoryName(repository), parseTag('latest'));
      };

      for (const [what, keyOf, compression] of [
        ['JSON', layout.imageJson, 'gzip'],
        ['ancestry', layout.imageAncestry, 'gzip'],
        ['JSON, with a projection record', layout.imageJson, 'zstd'],
        ['ancestry, with a projection record', layout.imageAncestry, 'zstd'],
        ['layer descriptor', layout.imageLayerDescriptor, 'zstd'],
      ] as const) {
        it(`that are complete but lack their ${what} are made again by the next projection of the tag`, async () => {
          const { repository, images, ids } = await pushProjected(compression);
          for (const id of ids) await storage.driver.delete(keyOf(id));
          await projectIn(repository);
          for (const id of ids) assert.ok(await storage.driver.head(keyOf(id)));
          await isPulled(repository, images);
        });

        it(`that are complete but lack their ${what} are made again by a v1 pull`, async () => {
          const { repository, images, ids } = await pushProjected(compression);
          for (const id of ids) await storage.driver.delete(keyOf(id));
          const fresh = await startRegistry(storage.driver, { v1Layers: 'link', runsBackgroundWork: false });
          await isPulled(repository, images, fresh);
          await fresh.stop();
        });
      }

      it('are live again once their tag is projected, and are not made while they are removed', async () => {
        const { repository, images, ids } = await pushProjected();
        for (const id of ids) await collectorOf(id).condemn();
        await projectIn(repository);
        for (const id of ids) assert.equal(await collectorOf(id).state(), 'live');
        for (const id of ids) {
          const collector = collectorOf(id);
          await collector.condemn();
          await collector.take();
          await assert.rejects(projectIn(repository), { code: 'UNAVAILABLE' });
          for await (const _ of collector.deletions());
          await assert.rejects(projectIn(repository), { code: 'UNAVAILABLE' });
          assert.deepEqual(await storage.keysBelow(layout.image(id)), []);
          await collector.end();
        }
        await projectIn(repository);
        await isPulled(repository, images);
      });

      it('name bytes of their own by a marker that is there before the descriptor, so they outlive the links', async () => {
        const repository = newRepository();
        const unmarked: string[] = [];
        const watched = new Interceptor(storage.driver);
        watched.before(
          'put',
          (key) => key.endsWith('/layer.json'),
          async () => void unmarked.push(...watched.written.filter((key) => digestOfImageBlob(key as Key))),
        );
        const { manifest } = await pushImage(v2, repository, 'latest', {
          contents: [`only ${repository}`],
          compression: 'zstd',
        });
        const registry = assembleRegistry(watched.driver, { copiesLayers: false });
        const { tagProjections } = registry;
        await server.idle();
        const [layer] = (manifest as { layers: { digest: string }[] }).layers;
        const top = parseImageId((await v1.pull(repository, 'latest'))[0]?.id ?? '');
        const { digest } = (await readLayerDescriptor(storage.driver, top)) ?? assert.fail();
        assert.ok(await storage.driver.head(layout.imageBlob(top, digest)));
        await storage.driver.delete(layout.imageBlob(top, digest));
        await storage.driver.delete(layout.imageLayerDescriptor(top));
        await tagProjections.update(parseRepositoryName(repository), parseTag('latest'));
        assert.deepEqual(unmarked, [layout.imageBlob(top, digest)]);
        await storage.driver.delete(layout.blobLink(parseRepositoryName(repository), parseDigest(layer?.digest ?? '')));
        assert.equal((await new V1Client(other.url).pull(repository, 'latest')).length, 1);
      });
    });
  });
}
