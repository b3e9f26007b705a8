import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import { readAll } from '../../lib/streams/bytes.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { payloadSum, V1Client } from '../support/v1-client.ts';
import { TOP_ID, ubuntuChain } from './chain.ts';

type OpenStorage = () => Promise<OpenedStorage>;

const REPOSITORY_FOLDER = 'repositories/library/ubuntu';

/** Push and pull as a v1 Docker does them, and the objects in the bucket afterwards. */
export function v1PushPullSuite(name: string, open: OpenStorage): void {
  describe(`v1 push and pull on ${name}`, () => {
    const images = ubuntuChain();
    let storage: Awaited<ReturnType<OpenStorage>>;
    let server: RegistryServer;
    let client: V1Client;

    before(async () => {
      storage = await open();
      server = await startRegistry(storage.driver);
      client = new V1Client(server.url);
      await client.login('anybody', 'anything');
      await client.push('ubuntu', images, { latest: TOP_ID, '14.04': TOP_ID });
    });
    after(async () => {
      await server.stop();
      await storage.close();
    });

    const contentOf = async (key: string): Promise<Buffer> => {
      const object = await storage.driver.get(key as Key);
      assert.ok(object, `${key} is missing`);
      return Buffer.from(await readAll(object.body));
    };
    const keysBelow = async (prefix: string) =>
      (await Array.fromAsync(storage.driver.list(prefix as KeyPrefix))).map(({ key }) => key as string);

    for (const tag of ['latest', '14.04']) {
      it(`pulls ${tag} back byte for byte`, async () => {
        const pulled = await client.pull('ubuntu', tag);
        assert.deepEqual(
          pulled.map(({ id }) => id),
          images.map(({ id }) => id),
        );
        for (const [index, image] of images.entries()) {
          const copy = pulled[index];
          assert.ok(copy && Buffer.from(image.json).equals(copy.json), `json of ${image.id}`);
          assert.ok(Buffer.from(image.layer).equals(copy.layer), `layer of ${image.id}`);
          assert.equal(copy.layerSizeBytes, image.layer.length);
          assert.deepEqual(copy.checksums, [payloadSum(image.json, image.layer)]);
        }
      });
    }

    it('leaves the objects of docker-registry under images/, and no others', async () => {
      const expected = images.flatMap(({ id }) =>
        ['_checksum', 'ancestry', 'json', 'layer'].map((part) => `images/${id}/${part}`),
      );
      assert.deepEqual(await keysBelow('images/'), expected.toSorted());
      for (const [index, { id, json, layer }] of images.entries()) {
        const ancestry = images.slice(0, index + 1).map((image) => image.id);
        assert.ok((await contentOf(`images/${id}/json`)).equals(json));
        assert.ok((await contentOf(`images/${id}/layer`)).equals(layer));
        assert.equal((await contentOf(`images/${id}/_checksum`)).toString(), `["${payloadSum(json, layer)}"]`);
        const list = ancestry.toReversed().map((ancestor) => `"${ancestor}"`);
        assert.equal((await contentOf(`images/${id}/ancestry`)).toString(), `[${list.join(', ')}]`);
      }
    });

    it('leaves the objects of docker-registry under repositories/, and no others', async () => {
      assert.deepEqual(await keysBelow('repositories/'), [
        `${REPOSITORY_FOLDER}/_index_images`,
        `${REPOSITORY_FOLDER}/json`,
        `${REPOSITORY_FOLDER}/tag14.04_json`,
        `${REPOSITORY_FOLDER}/tag_14.04`,
        `${REPOSITORY_FOLDER}/tag_latest`,
        `${REPOSITORY_FOLDER}/taglatest_json`,
      ]);
      for (const tag of ['14.04', 'latest']) {
        assert.equal((await contentOf(`${REPOSITORY_FOLDER}/tag_${tag}`)).toString(), TOP_ID);
      }
      for (const key of ['json', 'tag14.04_json', 'taglatest_json']) {
        const text = (await contentOf(`${REPOSITORY_FOLDER}/${key}`)).toString();
        const { last_update, ...metadata } = JSON.parse(text) as Record<string, unknown>;
        assert.deepEqual(metadata, {
          arch: 'amd64',
          docker_go_version: 'go1.4.1',
          docker_version: '1.5.0',
          kernel: '3.16.0-4-amd64',
          os: 'linux',
        });
        assert.ok(Math.abs(Number(last_update) - Date.now() / 1000) < 60, text);
        assert.match(text, /^\{"[a-z_]+": .*, "/, 'as json.dumps writes it');
      }
      const ids = images.map(({ id }) => `{"id": "${id}"}`);
      const index = (await contentOf(`${REPOSITORY_FOLDER}/_index_images`)).toString();
      assert.deepEqual(index.slice(1, -1).split(', ').toSorted(), ids.toSorted());
    });

    it('pushes nothing a second time', async () => {
      const before = await Promise.all((await keysBelow('images/')).map((key) => storage.driver.head(key as Key)));
      await client.push('ubuntu', images, { latest: TOP_ID });
      const after = await Promise.all((await keysBelow('images/')).map((key) => storage.driver.head(key as Key)));
      assert.deepEqual(after, before);
    });

    it('has a conversion whose blobs are the stored layers', async () => {
      const response = await fetch(new URL('/v2/ubuntu/manifests/14.04', server.url));
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('Content-Type'), 'application/vnd.docker.distribution.manifest.v2+json');
      const manifest = (await response.json()) as { config: { digest: string }; layers: { digest: string }[] };
      const digests = images.map(({ layer }) => `sha256:${createHash('sha256').update(layer).digest('hex')}`);
      assert.deepEqual(
        manifest.layers.map(({ digest }) => digest),
        digests,
      );
      for (const [index, digest] of digests.entries()) {
        const blob = await fetch(new URL(`/v2/library/ubuntu/blobs/${digest}`, server.url));
        assert.ok(Buffer.from(images[index]?.layer ?? []).equals(await blob.bytes()));
      }
      const config = await (await fetch(new URL(`/v2/ubuntu/blobs/${manifest.config.digest}`, server.url))).json();
      assert.partialDeepStrictEqual(config, {
        architecture: 'amd64',
        os: 'linux',
        created: '2014-05-15T02:37:55.21802123Z',
        config: { Cmd: ['/bin/bash'], WorkingDir: '/root', Labels: { maintainer: 'Zoë <zoe@example.com>' } },
      });
    });

    it('makes the same config in every version', async () => {
      const manifest = await fetch(new URL('/v2/ubuntu/manifests/latest', server.url));
      const { config } = (await manifest.json()) as { config: { digest: string } };
      // A pinned digest must not change with a later version: see lib/registry/v1-to-v2/image-config.ts. (The
      // manifest's own digest also depends on gzip, which the layers of this test went through.)
      assert.equal(config.digest, PINNED_CONFIG);
    });
  });
}

const PINNED_CONFIG = 'sha256:08923603237eca4cb3696e31caa2500630fe3cd7d1cc92ea66728ab461922762';
