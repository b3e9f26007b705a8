import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { StorageDriver } from '../../../lib/storage/driver.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { digestOf, V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';

const LAYERS = 10;
/** For the layers and the config; the manifest, the tag, and whether the manifest is still there. */
const BEFORE_ANSWER = LAYERS + 1 + 3;

/** A storage, and all requests to it since `clear` was called. */
export type CountedStorage = {
  driver: StorageDriver;
  requests: () => readonly string[];
  clear: () => void;
  close?: () => Promise<void>;
};

/** The storage requests of a manifest PUT of ten layers and a config, with all that follows the answer. */
export function projectionRequestsSuite(name: string, open: () => Promise<CountedStorage>): void {
  describe(`on ${name}, a manifest PUT of N blobs with its tag, and all that follows it`, () => {
    let storage: CountedStorage;
    let server: RegistryServer;
    let client: V2Client;
    before(async () => {
      storage = await open();
      server = await startRegistry(storage.driver, { v1Layers: 'link' });
      client = new V2Client(server.url);
    });
    after(async () => {
      await server.stop();
      await storage.close?.();
    });

    const assertAtMost = async (most: number, operation: () => Promise<unknown>) => {
      await server.idle();
      storage.clear();
      await operation();
      await server.idle();
      const seen = storage.requests();
      assert.ok(seen.length <= most, `${seen.length} requests, at most ${most} are allowed\n${seen.join('\n')}`);
      assert.ok(seen.length > BEFORE_ANSWER, 'the requests are counted');
    };
    /** Pushes the blobs of an image of which these layers are new. */
    const manifestOf = async (repository: string, own: number) => {
      const contents = Array.from({ length: LAYERS }, (_, index) =>
        index < LAYERS - own ? `shared ${index}` : `${repository} ${index}`,
      );
      const { manifest, digest } = await pushImage(client, repository, undefined, { contents });
      await client.send('DELETE', `/v2/${repository}/manifests/${digest}`);
      return { ...manifest, annotations: { of: repository } };
    };
    const put = (to: string, tag: string, manifest: object) => async () =>
      assert.equal((await client.pushManifest(to, tag, manifest)).status, 201);

    it('takes at most N + 3 + 4 for each new layer + 8', async () => {
      const manifest = await manifestOf('requests/new', LAYERS);
      await assertAtMost(BEFORE_ANSWER + 4 * LAYERS + 8, put('requests/new', '1.0', manifest));
      const images = await new V1Client(server.url).pull('requests/new', '1.0');
      assert.equal(images.length, LAYERS);
    });

    it('takes at most N + 6 for the same manifest and tag again', async () => {
      const manifest = await manifestOf('requests/again', LAYERS);
      await put('requests/again', '1.0', manifest)();
      await assertAtMost(BEFORE_ANSWER + 3, put('requests/again', '1.0', manifest));
    });

    it('takes 4 for each new layer and 1 for each that the same process has projected before', async () => {
      await put('requests/base', '1.0', await manifestOf('requests/base', 1))();
      const manifest = await manifestOf('requests/shares', 1);
      await assertAtMost(BEFORE_ANSWER + 4 + 9 + 8, put('requests/shares', '1.0', manifest));
    });

    it('takes 4 for each new layer and 3 for each that another process has projected', async () => {
      const manifest = await manifestOf('requests/elsewhere', 1);
      const other = await startRegistry(storage.driver, { v1Layers: 'link' });
      await other.idle();
      const of = new V2Client(other.url);
      storage.clear();
      assert.equal((await of.pushManifest('requests/elsewhere', '1.0', manifest)).status, 201);
      await other.idle();
      const seen = storage.requests();
      await other.stop();
      assert.ok(seen.length <= BEFORE_ANSWER + 4 + 3 * 9 + 8, `${seen.length}\n${seen.join('\n')}`);
      assert.ok(seen.length <= BEFORE_ANSWER + 4 * LAYERS + 8);
    });

    it('takes N + 3, 1 for the history and 2 for the facts, where projections are made by the first v1 request', async () => {
      const manifest = await manifestOf('requests/lazy', LAYERS);
      const lazy = await startRegistry(storage.driver, { v1Layers: 'link', v1Projection: 'lazy' });
      try {
        for (const tag of ['1.0', '2.0']) {
          storage.clear();
          const changed = { ...manifest, annotations: { tag } };
          assert.equal((await new V2Client(lazy.url).pushManifest('requests/lazy', tag, changed)).status, 201);
          await lazy.idle();
          const seen = storage.requests();
          assert.ok(seen.length <= BEFORE_ANSWER + 1 + 2, `${seen.length}\n${seen.join('\n')}`);
          const images = await new V1Client(lazy.url).pull('requests/lazy', tag);
          assert.equal(images.length, LAYERS);
          assert.equal(images.at(-1)?.id, digestOf(JSON.stringify(changed)).slice('sha256:'.length));
        }
      } finally {
        await lazy.stop();
      }
    });

    it('sets another tag to a manifest that is projected with 1 for each layer at most', async () => {
      const manifest = await manifestOf('requests/moved', LAYERS);
      await put('requests/moved', '1.0', manifest)();
      await assertAtMost(BEFORE_ANSWER + LAYERS + 8 + 1, put('requests/moved', 'latest', manifest));
      const digest = digestOf(JSON.stringify(manifest)).slice('sha256:'.length);
      const top = (await new V1Client(server.url).pull('requests/moved', 'latest')).at(-1);
      assert.equal(top?.id, digest);
    });
  });
}
