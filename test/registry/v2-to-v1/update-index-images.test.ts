import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { layout } from '../../../lib/model/layout.ts';
import { type ImageId, parseRepositoryName } from '../../../lib/model/names.ts';
import { encodeText } from '../../../lib/streams/bytes.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';

const hexOf = (text: string) => createHash('sha256').update(text).digest('hex');

describe("a repository's index images", () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  const asked: string[] = [];
  before(async () => {
    storage = await openFiles();
    const counting = alterDriver(storage.driver, (original) => ({
      read: async (key) => {
        asked.push(key);
        return await original.read(key);
      },
      head: async (key) => {
        asked.push(key);
        return await original.head(key);
      },
    }));
    server = await startRegistry(counting);
    client = new V2Client(server.url);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const idsIn = async (repository: string) => {
    const object = await storage.driver.read(layout.indexImages(parseRepositoryName(repository)));
    return (JSON.parse(String(object?.bytes && Buffer.from(object.bytes))) as { id: string }[]).map(({ id }) => id);
  };
  const plant = (repository: string, ids: readonly string[]) =>
    storage.driver.put(
      layout.indexImages(parseRepositoryName(repository)),
      encodeText(JSON.stringify(ids.map((id) => ({ id })))),
    );
  const push = async (repository: string, content: string) => {
    asked.length = 0;
    const { digest } = await pushImage(client, repository, 'latest', { contents: [content] });
    await server.idle();
    return digest.slice('sha256:'.length);
  };

  it('that name 100,000 unknown images cost a push no read for each of them', async () => {
    const count = 100_000;
    await plant(
      'long/list',
      Array.from({ length: count }, (_, n) => hexOf(`made up ${n}`)),
    );
    const pushed = [await push('long/list', 'one'), await push('long/list', 'two')];
    assert.ok(asked.length < 80, `${asked.length} objects were read`);
    const ids = await idsIn('long/list');
    assert.equal(ids.length, 20_000, 'the newest are kept');
    assert.equal(ids[0], pushed[1]);
  });

  it('lose projections that no tag names, some with each change', async () => {
    const made = Array.from({ length: 40 }, (_, n) => hexOf(`made ${n}`));
    for (const id of made) {
      const record = encodeText(JSON.stringify({ manifest: `sha256:${id}`, made: true }));
      await storage.driver.put(layout.projectionRecord(id as ImageId), record);
    }
    const pushedByV1 = Array.from({ length: 20 }, (_, n) => hexOf(`pushed ${n}`));
    await plant('long/made', [...made, ...pushedByV1]);
    const left = [];
    for (let change = 0; change < 12; change++) {
      const id = await push('long/made', `change ${change}`);
      const ids = await idsIn('long/made');
      assert.ok(ids.includes(id) && pushedByV1.every((one) => ids.includes(one)));
      left.push(ids.filter((one) => made.includes(one)).length);
    }
    assert.deepEqual(
      left,
      left.toSorted((a, b) => b - a),
    );
    assert.equal(left.at(-1), 0, left.join());
  });
});
