import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { readerOf } from '../../../lib/registry/v1-images/image-rights.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';

it('what a grant describes is known after each read, also if the grant was remembered until that moment', async (t) => {
  let nowMs = 0;
  let passesMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  const storage = new MemoryStorage();
  const server = await startRegistry(storage, { v1Layers: 'link', runsBackgroundWork: false });
  t.after(() => server.stop());
  const repository = parseRepositoryName('rights/remembered');
  const { digest } = await pushImage(new V2Client(server.url), repository, '1.0', { contents: ['one'] });
  const slow = alterDriver(storage, (driver) => ({
    async read(key) {
      nowMs += passesMs;
      return await driver.read(key);
    },
    async head(key) {
      nowMs += passesMs;
      return await driver.head(key);
    },
  }));
  const { tagProjections, imageRights } = assembleRegistry(slow, { copiesLayers: false });
  await tagProjections.update(repository, parseTag('1.0'));
  const [id] = [...storage.objects.keys()].flatMap((key) => /^images\/(.*)\/json$/.exec(key)?.[1] ?? []);
  assert.equal(`sha256:${id}`, digest);
  const reader = readerOf(repository);
  const image = id as Parameters<typeof imageRights.sourceOf>[0];
  assert.equal(await imageRights.findReadableKind(image, reader), 'projection');
  nowMs += 29_990;
  passesMs = 20;
  assert.equal(await imageRights.findReadableKind(image, reader), 'projection');
  assert.ok(imageRights.sourceOf(image));
});
