// What the reading of documents leaves to other requests.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { type Key, layout } from '../../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName } from '../../../lib/model/names.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { MiB } from '../../../lib/streams/bytes.ts';
import { readDocument } from '../../../lib/ui/data/documents.ts';
import { basic, openTestAuth } from '../../auth/test-auth.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { startRegistry } from '../../support/registry-server.ts';
import { until } from '../../support/until.ts';
import { V2Client } from '../../v2/client.ts';
import { Browser } from '../browser.ts';
import { pushArtifact } from './push-artifact.ts';
import { SPDX } from './samples.ts';

describe('the reading of a document', () => {
  it('gives other work its turn every 64 KiB', async () => {
    const storage = new MemoryStorage();
    const registry = assembleRegistry(storage, { copiesLayers: false });
    const repository = parseRepositoryName('docs/app');
    const bytes = Buffer.alloc(4 * MiB, ' ');
    bytes.write(JSON.stringify(SPDX));
    const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    const key = layout.blobCopy(digest, '00000000-0000-4000-8000-000000000000');
    await storage.put(key, bytes);
    await storage.put(layout.blobLink(repository, digest), Buffer.from(JSON.stringify({ size: bytes.length, key })));
    let turns = 0;
    let isRunning = true;
    const count = () => {
      turns++;
      if (isRunning) setImmediate(count);
    };
    count();
    const content = await readDocument(registry, { repository, digest, page: { filter: '', from: 0, size: 50 } });
    isRunning = false;
    assert.ok(typeof content === 'object' && content.sbom?.packageCount === 3, JSON.stringify(content));
    assert.ok(turns >= 64, `${turns} turns`);
  });

  it('is done for a caller one at a time, and does not keep another caller waiting', async () => {
    const opened: Key[] = [];
    const gate = Promise.withResolvers<void>();
    let held: string | undefined;
    const driver = alterDriver(new MemoryStorage(), (original) => ({
      async get(key, options) {
        if (held !== undefined && key.includes(held)) {
          opened.push(key);
          await gate.promise;
        }
        return await original.get(key, options);
      },
    }));
    const server = await startRegistry(driver, { auth: await openTestAuth({ users: ['alice', 'bob'] }) });
    try {
      const client = new V2Client(server.url, basic('alice'));
      const layerOf = (name: string) => ({ mediaType: 'application/spdx+json', content: { ...SPDX, name } });
      const slow = await pushArtifact(client, 'docs/slow', { layers: [layerOf('slow')] });
      const quick = await pushArtifact(client, 'docs/quick', { layers: [layerOf('quick')] });
      await server.idle();
      const [alice, bob] = [new Browser(server.url), new Browser(server.url)];
      await alice.login('alice');
      await bob.login('bob');
      const open = async (browser: Browser, path: string) => (await browser.open(path)).text.includes('libssl3');
      const [slowPath, quickPath] = [`/ui/r/docs/slow@${slow.digest}`, `/ui/r/docs/quick@${quick.digest}`];
      held = slow.blobs[0]?.slice('sha256:'.length);
      const ofAlice = [open(alice, slowPath), open(alice, slowPath)];
      await until(async () => opened.length > 0, 'no document is read');
      assert.equal(await open(bob, quickPath), true);
      assert.equal(opened.length, 1, 'the second page of the caller waits for the first');
      gate.resolve();
      assert.deepEqual(await Promise.all(ofAlice), [true, true]);
      assert.equal(opened.length, 2);
    } finally {
      gate.resolve();
      await server.stop();
    }
  });
});
