// How many pages that take much memory or time are made at once.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Key } from '../../lib/model/layout.ts';
import { basic, openTestAuth } from '../auth/test-auth.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { until } from '../support/until.ts';
import { V2Client } from '../v2/client.ts';
import { Browser } from './browser.ts';
import { pushArtifact } from './documents/push-artifact.ts';
import { SPDX } from './documents/samples.ts';

describe('pages that are made at once', () => {
  /** Reads of the object that is held. */
  let opened: Key[];
  let held: string | undefined;
  let gate: PromiseWithResolvers<void>;
  let server: RegistryServer;
  let client: V2Client;
  let [alice, bob]: Browser[] = [];

  beforeEach(async () => {
    opened = [];
    held = undefined;
    gate = Promise.withResolvers();
    const waitFor = async (key: Key) => {
      if (held === undefined || !key.includes(held)) return;
      opened.push(key);
      await gate.promise;
    };
    const driver = alterDriver(new MemoryStorage(), (original) => ({
      async get(key, options) {
        await waitFor(key);
        return await original.get(key, options);
      },
      async head(key) {
        await waitFor(key);
        return await original.head(key);
      },
    }));
    server = await startRegistry(driver, { auth: await openTestAuth({ users: ['alice', 'bob'] }) });
    client = new V2Client(server.url, basic('alice'));
    [alice, bob] = [new Browser(server.url), new Browser(server.url)];
    await alice.login('alice');
    await bob.login('bob');
  });
  afterEach(async () => {
    gate.resolve();
    await server.stop();
  });

  const shows = async (browser: Browser | undefined, path: string, text: string) =>
    (await browser?.open(path))?.text.includes(text);

  /** The first caller opens pages that read a blob which is held; the other one opens another page meanwhile. */
  async function assertLimit({
    slow,
    quick,
    text,
    blob,
    perCaller,
  }: {
    slow: string;
    quick: string;
    text: string;
    blob: string | undefined;
    perCaller: number;
  }) {
    await server.idle();
    held = blob?.slice('sha256:'.length) ?? assert.fail();
    const ofAlice = Array.from({ length: perCaller + 2 }, () => shows(alice, slow, text));
    await until(async () => opened.length >= perCaller, 'it is not read');
    assert.equal(await shows(bob, quick, text), true);
    assert.equal(opened.length, perCaller, 'further pages of the caller wait');
    gate.resolve();
    assert.deepEqual(new Set(await Promise.all(ofAlice)), new Set([true]));
    assert.equal(opened.length, perCaller + 2);
  }

  it('one document for a caller, while another caller does not wait', async () => {
    const layerOf = (name: string) => ({ mediaType: 'application/spdx+json', content: { ...SPDX, name } });
    const slow = await pushArtifact(client, 'docs/slow', { layers: [layerOf('slow')] });
    const quick = await pushArtifact(client, 'docs/quick', { layers: [layerOf('quick')] });
    await assertLimit({
      slow: `/ui/r/docs/slow@${slow.digest}`,
      quick: `/ui/r/docs/quick@${quick.digest}`,
      text: 'libssl3',
      blob: slow.blobs[0],
      perCaller: 1,
    });
  });

  it('one list of signatures for a caller, while another caller does not wait', async () => {
    const mediaType = 'application/vnd.dev.cosign.simplesigning.v1+json';
    const signed = async (repository: string) => {
      const { digest } = await pushArtifact(client, repository, { layers: [], tag: '1' });
      const tag = `${digest.replace(':', '-')}.sig`;
      const { blobs } = await pushArtifact(client, repository, { layers: [{ mediaType, content: repository }], tag });
      return { path: `/ui/r/${repository}:1?view=referrers`, blob: blobs[0] };
    };
    const [slow, quick] = [await signed('signed/slow'), await signed('signed/quick')];
    await assertLimit({ slow: slow.path, quick: quick.path, text: 'not verified', blob: slow.blob, perCaller: 1 });
  });

  it('four searches for a digest, while another caller does not wait', async () => {
    await pushArtifact(client, 'blobs/app', { layers: [], tag: '1' });
    const [slow, quick] = await Promise.all(
      ['slow', 'quick'].map(async (content) => (await client.pushBlob('blobs/app', Buffer.from(content))).digest),
    );
    await assertLimit({
      slow: `/ui/digest?digest=${slow}`,
      quick: `/ui/digest?digest=${quick}`,
      text: 'blobs/app',
      blob: slow,
      perCaller: 4,
    });
  });

  it('four pages of images for a caller, while another caller does not wait', async () => {
    const pushed = async (repository: string) => {
      const bytes = Buffer.from(JSON.stringify({ author: repository }));
      const { digest } = await client.pushBlob(repository, bytes);
      const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: bytes.length };
      const mediaType = 'application/vnd.oci.image.manifest.v1+json';
      const response = await client.pushManifest(repository, '1', { schemaVersion: 2, mediaType, config, layers: [] });
      assert.equal(response.status, 201);
      return { path: `/ui/r/${repository}:1`, blob: digest };
    };
    const [slow, quick] = [await pushed('images/slow'), await pushed('images/quick')];
    await assertLimit({ slow: slow.path, quick: quick.path, text: 'images/', blob: slow.blob, perCaller: 4 });
  });
});
