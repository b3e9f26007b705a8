import assert from 'node:assert/strict';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { nearAndFar } from './backends.ts';
import { makeIndex, type TestIndex } from './images.ts';
import { useIndexClients } from './index-clients.ts';
import { blobPath, digestOf } from './oci-layout.ts';
import { run } from './programs.ts';
import { useStowage } from './use-stowage.ts';
import { visibleIn } from './visible.ts';

/** An index is two images and an attestation, for two architectures and none. */
for (const kind of nearAndFar) {
  describe(`an index on ${kind.name}`, () => {
    const served = useStowage(kind);
    const clients = useIndexClients();
    let index: TestIndex;

    before(async () => {
      index = await makeIndex(served().directory);
    });

    for (const pusher of clients) {
      const repository = `indexes/${pusher.name}`;
      const pullers = clients.filter((puller) => !(pusher.pushesNested && puller.cannotPullNested));

      test(`${pusher.name} pushes it, and ${pullers.map(({ name }) => name).join(', ')} pull all of it`, async () => {
        const { stowage, directory } = served();
        const reference = `${stowage.host}/${repository}:multi`;
        await pusher.push(index, reference);
        for (const puller of pullers) {
          const pulled = join(await mkdtemp(join(directory, 'pulled-')), 'layout');
          await puller.pull(reference, pulled);
          for (const digest of index.digests) {
            const bytes = await readFile(blobPath(pulled, digest)).catch(() =>
              assert.fail(`${puller.name}: no ${digest}`),
            );
            assert.equal(digestOf(bytes), digest, puller.name);
          }
        }
      });
    }

    test('crane makes an index of images that are there, and copies it', async () => {
      const { stowage } = served();
      const crane = async (...args: string[]) => (await run('crane', args)).trim();
      const images = Object.values(index.images).map((digest) => `${stowage.host}/indexes/skopeo@${digest}`);
      const reference = `${stowage.host}/indexes/appended:1`;
      await crane('index', 'append', ...images.flatMap((image) => ['--manifest', image]), '--tag', reference);
      const copy = `${stowage.host}/indexes/copied/again:1`;
      await crane('copy', reference, copy);
      assert.equal(await crane('digest', copy), await crane('digest', reference));
      assert.equal(await crane('digest', '--platform=linux/arm64', copy), index.images.arm64);
      await crane('validate', '--remote', copy);
      await crane('mutate', '--label', 'a=b', '--tag', `${stowage.host}/indexes/mutated:1`, images[0] ?? '');
      const config = JSON.parse(await crane('config', `${stowage.host}/indexes/mutated:1`));
      assert.equal(config.config.Labels.a, 'b');
    });

    test('skopeo synchronises a repository to a directory and back under another name', async () => {
      const { stowage, directory } = served();
      const out = await mkdtemp(join(directory, 'sync-'));
      const source = `${stowage.host}/indexes/skopeo`;
      await run('skopeo', ['sync', '--all', '--src-tls-verify=false', '--src=docker', '--dest=dir', source, out]);
      const destination = `${stowage.host}/synced`;
      await run('skopeo', ['sync', '--all', '--dest-tls-verify=false', '--src=dir', '--dest=docker', out, destination]);
      const raw = await run('skopeo', [
        'inspect',
        '--raw',
        '--tls-verify=false',
        `docker://${destination}/skopeo:multi`,
      ]);
      assert.equal(digestOf(Buffer.from(raw)), index.digest);
    });

    test('everything that is left is whole, and one digest has one index', async () => {
      const { stowage, backend } = served();
      const visible = await visibleIn(stowage.url);
      for (const name of ['skopeo', 'oras', 'regctl', 'ctr']) {
        assert.equal(visible[`indexes/${name}:multi`], index.digest, name);
      }
      assert.deepEqual(await backend.openUploads(), []);
    });
  });
}
