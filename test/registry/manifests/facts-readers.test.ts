import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Background } from '../../../lib/concurrency/background.ts';
import { createLog } from '../../../lib/model/log.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';
import { retentionBy } from '../retention/settings.ts';

/** What a listing of facts saves the readers of a repository with many artifacts. */
describe('the tags that v1 clients get of a repository with 40 artifacts', () => {
  const ARTIFACTS = 40;
  let storage: MemoryStorage;
  let server: RegistryServer;
  let client: V2Client;
  let image: string;
  before(async () => {
    storage = new MemoryStorage();
    server = await startRegistry(storage, { v1Layers: 'link' });
    client = new V2Client(server.url);
    ({ digest: image } = await pushImage(client, 'many/artifacts', 'image', { contents: ['image'] }));
    const { digest } = await client.pushBlob('many/artifacts', Buffer.from('{}'));
    const descriptor = { mediaType: 'application/vnd.example+json', digest, size: 2 };
    for (let n = 0; n < ARTIFACTS; n++) {
      const manifest = { schemaVersion: 2, config: descriptor, layers: [descriptor], annotations: { n: String(n) } };
      await client.pushManifest('many/artifacts', `artifact-${n}`, manifest);
    }
    await server.idle();
  });
  after(() => server.stop());

  /** By a process that has read nothing yet. */
  const readTags = async () => {
    const fresh = await startRegistry(storage, { runsBackgroundWork: false });
    storage.log.length = 0;
    const answer = await new V2Client(fresh.url).send('GET', '/v1/repositories/many/artifacts/tags');
    const requests = storage.log.splice(0);
    await fresh.stop();
    return { tags: await answer.json(), requests };
  };

  it('take one listing of facts, and no request for an artifact', async () => {
    const { tags, requests } = await readTags();
    assert.deepEqual(tags, { image: image.slice('sha256:'.length) });
    assert.ok(requests.length <= 8, `${requests.length} requests:\n${requests.join('\n')}`);
    assert.ok(requests.includes('LIST oci/repositories/many/artifacts/facts/'), requests.join('\n'));
  });

  it('are the same where facts are missing', async () => {
    for (const key of storage.objects.keys()) if (key.includes('/facts/')) storage.objects.delete(key);
    assert.deepEqual((await readTags()).tags, { image: image.slice('sha256:'.length) });
  });
});

describe('the retention plan of a repository with an attached tag whose image has no tag', () => {
  const IMAGES = 20;
  const isRead = (request: string) => request.startsWith('GET oci/repositories/attached/app/manifests/');

  it('reads no manifest that is an image by its facts, and writes facts that are missing', async () => {
    const storage = new MemoryStorage();
    const server = await startRegistry(storage, { v1Layers: 'link' });
    const client = new V2Client(server.url);
    const pushed = [];
    for (let n = 0; n < IMAGES; n++)
      pushed.push(await pushImage(client, 'attached/app', `v${n}`, { contents: [`${n}`] }));
    const { digest } = await pushImage(client, 'attached/app', undefined, { contents: ['untagged'] });
    await pushImage(client, 'attached/app', `${digest.replace(':', '-')}.sig`, { contents: ['signature'] });
    await server.idle();
    await server.stop();

    const plan = async () => {
      const background = new Background(createLog('error', () => true));
      const retention = retentionBy(`[{repositories: 'attached/app', keep: {last: ${IMAGES}}}]`);
      const registry = assembleRegistry(storage, { copiesLayers: false, background, retention });
      storage.log.length = 0;
      await registry.retention.plan({ by: 'alice' });
      await background.idle();
      return storage.log.splice(0).filter(isRead);
    };
    assert.deepEqual(await plan(), []);
    const [missing] = pushed;
    for (const key of storage.objects.keys()) {
      if (key.includes(`/facts/${missing?.digest.replace(':', '-')}`)) storage.objects.delete(key);
    }
    assert.equal((await plan()).length, 1);
    assert.deepEqual(await plan(), [], 'the missing facts have been written');
  });
});
