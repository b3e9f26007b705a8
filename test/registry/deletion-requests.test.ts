import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Key, layout } from '../../lib/model/layout.ts';
import { parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { deletionRequestsSuite } from './deletion-requests.ts';

deletionRequestsSuite('storage in memory, whose DELETE is conditional', async () => {
  const driver = new MemoryStorage();
  return { driver, uncounted: driver, takeRequests: () => driver.log.splice(0), mostOfTag: 8, close: async () => {} };
});

describe('the deletion of a manifest', () => {
  const tagKey = (tag: string) => layout.tag(parseRepositoryName('app/app'), parseTag(tag));
  const otherDigits = 'e'.repeat(64);

  /** Pushes one image under three tags, and deletes it. @returns which of the tags are left */
  const deleteOn = async (storage: MemoryStorage, driver = storage as ReturnType<typeof alterDriver>) => {
    const server = await startRegistry(driver, { runsBackgroundWork: false });
    try {
      const client = new V2Client(server.url);
      const { digest, manifest } = await pushImage(client, 'app/app', 'one', { contents: ['one'] });
      for (const tag of ['two', 'three']) await client.pushManifest('app/app', tag, manifest);
      await storage.put(tagKey('other'), encodeText(otherDigits));
      storage.log.length = 0;
      assert.equal((await client.send('DELETE', `/v2/app/app/manifests/${digest}`)).status, 202);
      return ['one', 'two', 'three', 'other'].filter((tag) => storage.objects.has(tagKey(tag)));
    } finally {
      await server.stop();
    }
  };

  it('keeps a tag whose ETag in the listing is that of the manifest, but which names something else', async () => {
    const storage = new MemoryStorage();
    const forged = alterDriver(storage, (original) => ({
      async *list(prefix, options) {
        const one = storage.objects.get(tagKey('one'));
        for await (const object of original.list(prefix, options)) {
          yield one && object.key === tagKey('other') ? { ...object, etag: one.etag } : object;
        }
      },
    }));
    assert.deepEqual(await deleteOn(storage, forged), ['other']);
  });

  it('keeps a tag that moves between the listing and its deletion', async () => {
    const storage = new MemoryStorage();
    let isMoved = false;
    const moving = alterDriver(storage, (original) => ({
      read: async (key: Key) => {
        if (key === tagKey('two') && storage.log.some((request) => request.startsWith('LIST')) && !isMoved) {
          isMoved = true;
          await original.put(key, encodeText(otherDigits));
        }
        return await original.read(key);
      },
    }));
    assert.deepEqual(await deleteOn(storage, moving), ['two', 'other']);
    assert.ok(isMoved);
  });

  it('deletes the same tags where ETags are no MD5, and reads each tag for it', async () => {
    const storage = new MemoryStorage({ areETagsMD5: false });
    assert.deepEqual(await deleteOn(storage), ['other']);
    for (const tag of ['one', 'two', 'three', 'other']) assert.ok(storage.log.includes(`GET ${tagKey(tag)}`), tag);
  });
});
