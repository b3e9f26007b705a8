import assert from 'node:assert/strict';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { tar } from '../support/tar.ts';
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

    test('docker manifest of 20.10 makes a list of images that are there, and reads it', async () => {
      const { stowage, directory } = served();
      const env = { HOME: directory, DOCKER_CONFIG: join(directory, 'docker'), DOCKER_CLI_EXPERIMENTAL: 'enabled' };
      const manifest = async (command: string, ...args: string[]) =>
        await run('docker', ['manifest', command, ...args], { env });
      const name = `${stowage.host}/indexes/docker-manifest`;
      for (const architecture of ['amd64', 'arm64']) {
        const layer = join(directory, `${architecture}.tar`);
        await writeFile(layer, tar([{ path: 'architecture', content: Buffer.from(architecture) }]));
        await run('crane', ['append', '-f', layer, '-t', `${name}:${architecture}`]);
      }
      await manifest('create', '--insecure', `${name}:all`, `${name}:amd64`, `${name}:arm64`);
      for (const architecture of ['amd64', 'arm64']) {
        await manifest('annotate', `${name}:all`, `${name}:${architecture}`, '--os', 'linux', '--arch', architecture);
      }
      const digest = (await manifest('push', '--insecure', `${name}:all`)).trim();
      const { manifests } = JSON.parse(await manifest('inspect', '--insecure', `${name}:all`));
      const architectures = manifests.map(
        (child: { platform: { architecture: string } }) => child.platform.architecture,
      );
      assert.deepEqual(architectures, ['amd64', 'arm64']);
      assert.equal((await run('crane', ['digest', `${name}:all`])).trim(), digest);
    });

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

    test('all remaining objects are complete, and one digest has one index', async () => {
      const { stowage, backend } = served();
      const visible = await visibleIn(stowage.url);
      for (const name of ['skopeo', 'oras', 'regctl', 'ctr']) {
        assert.equal(visible[`indexes/${name}:multi`], index.digest, name);
      }
      assert.deepEqual(await backend.openUploads(), []);
    });
  });
}
