import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import { readAll } from '../../lib/streams/bytes.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { tar } from '../support/tar.ts';
import { payloadSum, V1Client } from '../support/v1-client.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { TOP_ID, ubuntuChain } from './chain.ts';

/** The projections of images that v2 clients push. */
export function projectionSuite(name: string, open: () => Promise<OpenedStorage>): void {
  for (const v1Layers of ['copy', 'link'] as const) {
    describe(`v1 projections of v2 images on ${name}, v1_layers: ${v1Layers}`, () => {
      let storage: OpenedStorage;
      let server: RegistryServer;
      let v1: V1Client;
      let v2: V2Client;

      before(async () => {
        storage = await open();
        server = await startRegistry(storage.driver, { v1Layers });
        v1 = new V1Client(server.url);
        v2 = new V2Client(server.url);
      });
      after(async () => {
        await server.stop();
        await storage.close();
      });

      const keysBelow = async (prefix: string) =>
        (await Array.fromAsync(storage.driver.list(prefix as KeyPrefix))).map(({ key }) => key as string);
      const contentOf = async (key: string) => {
        const object = await storage.driver.get(key as Key);
        assert.ok(object, `${key} is missing`);
        return Buffer.from(await readAll(object.body));
      };
      const idsIn = async (repository: string) => {
        const index = JSON.parse(String(await contentOf(`repositories/${repository}/_index_images`))) as {
          id: string;
        }[];
        return index.map(({ id }) => id).toSorted();
      };

      it('are pulled by a v1 client right after the push', async () => {
        const { digest, tars } = await pushImage(v2, 'projected/app', 'v1', { contents: ['base', 'middle', 'top'] });
        const images = await v1.pull('projected/app', 'v1');
        assert.equal(images.length, 3);
        assert.deepEqual(
          images.map(({ layer }) => gunzipSync(layer)),
          tars,
        );
        const top = images.at(-1);
        assert.equal(top?.id, digest.slice('sha256:'.length));
        assert.partialDeepStrictEqual(JSON.parse(String(Buffer.from(top?.json ?? []))), {
          id: top?.id,
          parent: images[1]?.id,
          created: '2026-01-02T03:04:05Z',
          architecture: 'amd64',
          config: { Cmd: ['/bin/app'], Env: ['A=b'] },
        });
      });

      it('have the objects of docker-registry, as images that v1 pushed', async () => {
        await pushImage(v2, 'projected/objects', 'v1', { contents: ['o-base', 'o-top'] });
        await server.idle();
        const images = await v1.pull('projected/objects', 'v1');
        const parts = v1Layers === 'copy' ? ['_checksum', 'ancestry', 'json', 'layer'] : ['ancestry', 'json'];
        for (const { id, json, layer } of images) {
          assert.deepEqual(
            await keysBelow(`images/${id}/`),
            parts.map((part) => `images/${id}/${part}`),
          );
          if (v1Layers === 'link') continue;
          assert.ok((await contentOf(`images/${id}/layer`)).equals(layer));
          assert.equal(String(await contentOf(`images/${id}/_checksum`)), `["${payloadSum(json, layer)}"]`);
        }
        assert.deepEqual(await keysBelow('repositories/projected/objects/'), [
          'repositories/projected/objects/_index_images',
          'repositories/projected/objects/tag_v1',
          'repositories/projected/objects/tagv1_json',
        ]);
        const metadata = JSON.parse(String(await contentOf('repositories/projected/objects/tagv1_json')));
        assert.partialDeepStrictEqual(metadata, { arch: 'amd64', os: 'linux' });
      });

      it('share the images of equal bases', async () => {
        await pushImage(v2, 'projected/one', 'latest', { contents: ['same', 'base', 'one'] });
        await pushImage(v2, 'projected/two', 'latest', {
          contents: ['same', 'base', 'two'],
          config: { author: 'else' },
        });
        const [one, two] = [await v1.pull('projected/one', 'latest'), await v1.pull('projected/two', 'latest')];
        assert.deepEqual(one.slice(0, 2), two.slice(0, 2));
        assert.notEqual(one[2]?.id, two[2]?.id);
      });

      it('of equal bases are made once, for concurrent pushes too', async () => {
        const written: string[] = [];
        const watched = alterDriver(storage.driver, (driver) => ({
          async put(key, ...rest) {
            if (/^images\/.*\/json$/.test(key)) written.push(key);
            await sleep(5);
            return await driver.put(key, ...rest);
          },
          async delete(key, options) {
            assert.ok(!key.endsWith('/layer'), `${key} was deleted while others could read it`);
            return await driver.delete(key, options);
          },
        }));
        const busy = await startRegistry(watched, { v1Layers });
        const client = new V2Client(busy.url);
        const tops = ['1', '2', '3', '4'];
        await Promise.all(
          tops.map((top) => pushImage(client, `projected/at-once-${top}`, 'latest', { contents: ['at', 'once', top] })),
        );
        await Promise.all(tops.map((top) => new V1Client(busy.url).pull(`projected/at-once-${top}`, 'latest')));
        await busy.stop();
        assert.equal(written.length, 2 + tops.length);
        assert.equal(new Set(written).size, written.length);
      });

      it('are complete when the top one is complete, so a crash leaves no partial image visible', async () => {
        const completed: string[] = [];
        const crashing = alterDriver(storage.driver, (driver) => ({
          async put(key, body, options) {
            // Writes for images below the top are slow.
            if (key.endsWith('/json') && !key.includes(top)) await sleep(50);
            const etag = await driver.put(key, body, options);
            if (key.startsWith('images/') && key.endsWith('/json')) completed.push(key);
            return etag;
          },
        }));
        let top = 'not yet known';
        const slow = await startRegistry(crashing, { v1Layers, runsBackgroundWork: false });
        const { digest } = await pushImage(new V2Client(slow.url), 'projected/order', 'latest', {
          contents: ['order', 'of', 'projections'],
        });
        top = digest.slice('sha256:'.length);
        await new V1Client(slow.url).pull('projected/order', 'latest');
        await slow.stop();
        assert.equal(completed.length, 3);
        assert.ok(completed.at(-1)?.includes(top));
      });

      it('serve zstd layers as gzip, with the right Content-Length', async () => {
        const { tars } = await pushImage(v2, 'projected/zstd', 'latest', {
          contents: ['z-base', 'z-top'],
          compression: 'zstd',
        });
        const images = await v1.pull('projected/zstd', 'latest');
        assert.deepEqual(
          images.map(({ layer }) => gunzipSync(layer)),
          tars,
        );
        for (const { layer, layerSizeBytes } of images) assert.equal(layerSizeBytes, layer.length);
      });

      it('show the linux/amd64 child of an index, else the first', async () => {
        const arm = await pushImage(v2, 'projected/multi', undefined, { contents: ['arm'] });
        const amd = await pushImage(v2, 'projected/multi', undefined, { contents: ['amd'] });
        const child = ({ digest, sizeBytes }: typeof arm, architecture: string) => ({
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest,
          size: sizeBytes,
          platform: { os: 'linux', architecture },
        });
        const index = (manifests: object[]) => ({
          schemaVersion: 2,
          mediaType: 'application/vnd.oci.image.index.v1+json',
          manifests,
        });
        await v2.pushManifest('projected/multi', 'both', index([child(arm, 'arm64'), child(amd, 'amd64')]));
        await v2.pushManifest('projected/multi', 'arm', index([child(arm, 'arm64')]));
        const fileOf = (layer: Uint8Array | undefined) =>
          gunzipSync(layer ?? Buffer.alloc(0)).toString('latin1', 512, 515);
        assert.equal(fileOf((await v1.pull('projected/multi', 'both'))[0]?.layer), 'amd');
        assert.equal(fileOf((await v1.pull('projected/multi', 'arm'))[0]?.layer), 'arm');
      });

      it('leave out artifacts, and the list of tags still works', async () => {
        const { digest } = await pushImage(v2, 'projected/mixed', 'image', { contents: ['image'] });
        const blob = await v2.pushBlob('projected/mixed', Buffer.from('{}'));
        const descriptor = { mediaType: 'application/vnd.example+json', digest: blob.digest, size: 2 };
        const artifact = { schemaVersion: 2, config: descriptor, layers: [descriptor] };
        assert.equal((await v2.pushManifest('projected/mixed', 'artifact', artifact)).status, 201);
        const tags = await v2.send('GET', '/v1/repositories/projected/mixed/tags');
        assert.deepEqual(await tags.json(), { image: digest.slice('sha256:'.length) });
        assert.equal((await v2.send('GET', '/v1/repositories/projected/mixed/tags/artifact')).status, 404);
      });

      /** A manifest with the config of an image and layers of these types. */
      const pushTyped = async (tag: string, types: string[], fields: object = {}) => {
        const config = await v2.pushBlob('projected/typed', Buffer.from('{"os":"linux"}'));
        const layer = await v2.pushBlob('projected/typed', tarOf('typed'));
        const manifest = {
          schemaVersion: 2,
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config.digest, size: 14 },
          layers: types.map((mediaType) => ({ mediaType, digest: layer.digest, size: tarOf('typed').length })),
          ...fields,
        };
        const pushed = await v2.pushManifest('projected/typed', tag, manifest);
        assert.equal(pushed.status, 201, await pushed.text());
        await server.idle();
        const size = Buffer.byteLength(JSON.stringify(manifest));
        const digest = pushed.headers.get('Docker-Content-Digest') ?? '';
        return { mediaType: manifest.mediaType, digest, size };
      };
      const isShown = async (tag: string) => {
        const { status } = await v2.send('GET', `/v1/repositories/projected/typed/tags/${tag}`);
        const tags = (await (await v2.send('GET', '/v1/repositories/projected/typed/tags')).json()) as object;
        assert.equal(tag in tags, status === 200);
        return status === 200;
      };
      const tarOf = (content: string) => tar([{ path: 'file', content: Buffer.from(content) }]);

      for (const [title, types, fields, shown] of [
        ['OCI layers', ['application/vnd.oci.image.layer.v1.tar'], {}, true],
        ['Docker layers', ['application/vnd.docker.image.rootfs.diff.tar'], {}, true],
        ['a layer that need not be here but is', ['application/vnd.oci.image.layer.nondistributable.v1.tar'], {}, true],
        ['a signature of cosign', ['application/vnd.dev.cosign.simplesigning.v1+json'], {}, false],
        ['an attestation of BuildKit', ['application/vnd.in-toto+json'], {}, false],
        ['an encrypted layer', ['application/vnd.oci.image.layer.v1.tar+gzip+encrypted'], {}, false],
        [
          'an encrypted layer on one that is not',
          ['application/vnd.oci.image.layer.v1.tar', 'application/vnd.oci.image.layer.v1.tar+encrypted'],
          {},
          false,
        ],
        [
          'an artifact by its field',
          ['application/vnd.oci.image.layer.v1.tar'],
          { artifactType: 'application/vnd.example' },
          false,
        ],
      ] as const) {
        it(`${shown ? 'show' : 'leave out'} ${title}`, async () => {
          const { digest } = await pushTyped('typed', [...types], fields);
          assert.equal(await isShown('typed'), shown);
          const read = await v2.send('GET', `/v1/images/${digest.slice('sha256:'.length)}/json`);
          assert.equal(read.status, shown ? 200 : 404);
        });
      }

      it('never show an attestation, an unknown platform or an artifact of an index, nor an index of these only', async () => {
        const image = await pushTyped('child-1', ['application/vnd.oci.image.layer.v1.tar']);
        const other = await pushTyped('child-2', ['application/vnd.oci.image.layer.v1.tar'], {
          annotations: { a: 'b' },
        });
        const signature = await pushTyped('child-3', ['application/vnd.dev.cosign.simplesigning.v1+json']);
        const unknown = { ...other, platform: { os: 'unknown', architecture: 'unknown' } };
        const attestation = { ...other, annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } };
        const arm = { ...image, platform: { os: 'linux', architecture: 'arm64' } };
        const pushIndex = async (tag: string, manifests: object[], fields = {}) => {
          const mediaType = 'application/vnd.oci.image.index.v1+json';
          const put = await v2.pushManifest('projected/typed', tag, {
            schemaVersion: 2,
            mediaType,
            manifests,
            ...fields,
          });
          assert.equal(put.status, 201, await put.text());
          await server.idle();
          return put.headers.get('Docker-Content-Digest')?.slice('sha256:'.length) ?? '';
        };
        for (const none of [[unknown], [attestation], [signature], [unknown, attestation, signature], []]) {
          await pushIndex('index', none);
          assert.equal(await isShown('index'), false);
        }
        await pushIndex('index', [arm], { artifactType: 'application/vnd.example' });
        assert.equal(await isShown('index'), false);
        for (const first of [unknown, attestation, signature]) {
          const id = await pushIndex('index', [first, arm]);
          assert.equal(await isShown('index'), true);
          const grants = await keysBelow(`oci/images/${id}/view/`);
          assert.deepEqual(
            grants.map((key) => key.split('/').at(-1)),
            [`${id}.${image.digest.slice('sha256:'.length)}`],
          );
        }
      });

      it('below the top have one creation time for all images that share them', async () => {
        const times = ['2020-01-01T00:00:00Z', '2021-01-01T00:00:00.5Z', '2022-01-01T00:00:00Z'];
        const history = (year: string) => ({
          history: [
            { created: times[0]?.replace('2020', year) },
            { created: '1999-01-01T00:00:00Z', empty_layer: true },
            { created: times[1] },
            { created: times[2] },
          ],
        });
        const contents = ['timed', 'base'];
        await pushImage(v2, 'projected/timed', 'first', { contents: [...contents, 'one'], config: history('2020') });
        await pushImage(v2, 'projected/timed', 'second', { contents: [...contents, 'two'], config: history('2011') });
        const broken = { history: [{ created: 'yesterday' }, { created: 7 }, {}] };
        await pushImage(v2, 'projected/timed', 'broken', { contents: ['b', 'r', 'o'], config: broken });
        const [first, second] = [await v1.pull('projected/timed', 'first'), await v1.pull('projected/timed', 'second')];
        const createdOf = (images: { json: Uint8Array }[]) =>
          images.map(({ json }) => JSON.parse(String(Buffer.from(json))).created as string | undefined);
        assert.deepEqual(createdOf(first), [times[0], times[1], '2026-01-02T03:04:05Z']);
        assert.deepEqual(second.slice(0, 2), first.slice(0, 2), 'shared bases do not differ');
        const top = '2026-01-02T03:04:05Z';
        assert.deepEqual(createdOf(await v1.pull('projected/timed', 'broken')), [undefined, undefined, top]);
      });

      it('leave out a manifest whose blobs are no image, and show the other tags', async () => {
        const { digest } = await pushImage(v2, 'projected/broken', 'good', { contents: ['good'] });
        const garbage = await v2.pushBlob('projected/broken', Buffer.from('no zstd at all'));
        const config = await v2.pushBlob('projected/broken', Buffer.from('{"rootfs":{}}'));
        const type = 'application/vnd.oci.image';
        const broken = {
          schemaVersion: 2,
          config: { mediaType: `${type}.config.v1+json`, digest: config.digest, size: 13 },
          layers: [{ mediaType: `${type}.layer.v1.tar+zstd`, digest: garbage.digest, size: 14 }],
        };
        assert.equal((await v2.pushManifest('projected/broken', 'bad', broken)).status, 201);
        const tags = await v2.send('GET', '/v1/repositories/projected/broken/tags');
        assert.deepEqual(await tags.json(), { good: digest.slice('sha256:'.length) });
      });

      it('are in _index_images while tags name them, beside what v1 clients announced', async () => {
        const images = ubuntuChain();
        await v1.push('projected/both', images, { old: TOP_ID });
        const first = await pushImage(v2, 'projected/both', 'latest', { contents: ['first'] });
        await server.idle();
        const second = await pushImage(v2, 'projected/both', 'latest', { contents: ['second'] });
        await server.idle();
        const announced = images.map(({ id }) => id);
        assert.deepEqual(await idsIn('projected/both'), [...announced, second.digest.slice(7)].toSorted());
        assert.ok(!announced.includes(first.digest.slice(7)));
      });

      it('stay readable when v2 deletes the tag, since the manifest grants them', async () => {
        const { digest } = await pushImage(v2, 'projected/untagged', 'latest', { contents: ['untagged'] });
        const id = digest.slice('sha256:'.length);
        await pushImage(v2, 'projected/untagged', 'other', { contents: ['tagged'] });
        await server.idle();
        assert.ok((await idsIn('projected/untagged')).includes(id));
        assert.equal((await v2.send('DELETE', '/v2/projected/untagged/manifests/latest')).status, 202);
        await server.idle();
        assert.equal((await v2.send('GET', '/v1/repositories/projected/untagged/tags/latest')).status, 404);
        assert.equal((await v2.send('GET', `/v1/images/${id}/json`)).status, 200);
        assert.ok(!(await idsIn('projected/untagged')).includes(id));
      });

      it('leave their repository when v2 deletes the manifest, and a v1 deletion is seen by v2', async () => {
        const { digest } = await pushImage(v2, 'projected/gone', 'latest', { contents: ['gone'] });
        await pushImage(v2, 'projected/gone', 'other', { contents: ['stays'] });
        await server.idle();
        assert.equal((await v2.send('DELETE', `/v2/projected/gone/manifests/${digest}`)).status, 202);
        await server.idle();
        const left = ['_index_images', 'tag_other', 'tagother_json'].map(
          (part) => `repositories/projected/gone/${part}`,
        );
        assert.deepEqual(await keysBelow('repositories/projected/gone/'), left);
        assert.equal((await v2.send('DELETE', '/v1/repositories/projected/gone/tags/other')).status, 200);
        assert.equal((await v2.send('GET', '/v2/projected/gone/manifests/other')).status, 404);
      });

      it('cannot be replaced by a v1 push under their id', async () => {
        const { digest } = await pushImage(v2, 'projected/mine', 'latest', { contents: ['mine'] });
        await server.idle();
        const id = digest.slice('sha256:'.length);
        const response = await v2.send('PUT', `/v1/images/${id}/json`, { body: JSON.stringify({ id }) });
        assert.equal(response.status, 409);
        assert.deepEqual(await response.json(), { error: 'Image already exists' });
      });

      it('replace an image that a v1 client pushed under their id before', async () => {
        const image = { contents: ['pushed by both'] };
        const { digest, tars } = await pushImage(v2, 'projected/tried', undefined, image);
        const id = digest.slice('sha256:'.length);
        const clientImage = {
          id,
          json: Buffer.from(JSON.stringify({ id, author: 'a v1 client' })),
          layer: tars[0] ?? Buffer.alloc(0),
        };
        await v1.push('client/app', [clientImage], { latest: id });
        await pushImage(v2, 'projected/replaced', 'latest', image);
        const [pulled] = await v1.pull('projected/replaced', 'latest');
        assert.ok(pulled);
        assert.equal(JSON.parse(String(Buffer.from(pulled.json))).author, undefined);
        assert.deepEqual(gunzipSync(pulled.layer), tars[0]);
      });

      it('keep the digest of their image or index in another repository where a v1 client tags them', async () => {
        const image = await pushImage(v2, 'projected/kept', 'image', { contents: ['k-base', 'k-top'] });
        const child = {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest: image.digest,
          size: image.sizeBytes,
          platform: { os: 'linux', architecture: 'amd64' },
        };
        const mediaType = 'application/vnd.oci.image.index.v1+json';
        await v2.pushManifest('projected/kept', 'index', { schemaVersion: 2, mediaType, manifests: [child] });
        await server.idle();
        for (const tag of ['image', 'index']) {
          const target = `projected/kept-${tag}`;
          const images = await v1.pull('projected/kept', tag);
          const original = await v2.send('GET', `/v2/projected/kept/manifests/${tag}`);
          await v1.push(target, images, { [tag]: images.at(-1)?.id ?? '', again: images.at(-1)?.id ?? '' });
          await server.idle();
          for (const name of [tag, 'again']) {
            const copy = await v2.send('GET', `/v2/${target}/manifests/${name}`);
            assert.equal(copy.headers.get('Docker-Content-Digest'), original.headers.get('Docker-Content-Digest'));
          }
          assert.equal(
            (await v2.send('DELETE', '/v1/repositories/projected/kept/tags/image')).status,
            tag === 'image' ? 200 : 404,
          );
          assert.equal((await v2.send('GET', `/v2/${target}/manifests/${image.digest}`)).status, 200);
          const { layers, config } = image.manifest as { layers: { digest: string }[]; config: { digest: string } };
          for (const { digest } of [config, ...layers]) {
            assert.equal((await v2.send('HEAD', `/v2/${target}/blobs/${digest}`)).status, 200);
          }
          assert.deepEqual(
            (await v1.pull(target, tag)).map(({ layer }) => gunzipSync(layer)),
            image.tars,
          );
        }
      });

      it('are tagged by a v1 client in another repository, and pulled from there by v2', async () => {
        const { digest, tars } = await pushImage(v2, 'projected/source', 'latest', { contents: ['s-base', 's-top'] });
        const images = await v1.pull('projected/source', 'latest');
        await v1.push('projected/target', images, { copied: digest.slice('sha256:'.length) });
        const manifest = await v2.send('GET', '/v2/projected/target/manifests/copied');
        assert.equal(manifest.status, 200);
        const { layers } = (await manifest.json()) as { layers: { digest: string }[] };
        for (const [index, layer] of layers.entries()) {
          const blob = await v2.send('GET', `/v2/projected/target/blobs/${layer.digest}`);
          assert.deepEqual(gunzipSync(await blob.bytes()), tars[index]);
        }
      });
    });
  }
}
