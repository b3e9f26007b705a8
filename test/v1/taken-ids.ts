import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Key } from '../../lib/model/layout.ts';
import { parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import type { TagProjections } from '../../lib/registry/v2-to-v1/project-tags.ts';
import { Interceptor } from '../registry/interceptor.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { tar } from '../support/tar.ts';
import { type PulledImage, payloadSum, V1Client } from '../support/v1-client.ts';
import { V2Client } from '../v2/client.ts';
import { chainIdOf, type PushedImage, pushImage } from '../v2/image.ts';
import { newImage, newRepository, type OpenStorage, useStorage } from './use-registry.ts';

/** v1 pushes under ids that become those of a projection: they can be computed before the projection is made. */
export function v1TakenIdsSuite(name: string, open: OpenStorage): void {
  for (const v1Layers of ['copy', 'link'] as const) {
    describe(`v1 ids that are pushed before their projection is made, on ${name}, v1_layers: ${v1Layers}`, () => {
      const storage = useStorage(open);
      /** The process that makes projections, and another one. */
      let server: RegistryServer;
      let other: RegistryServer;
      /** Runs before a storage request of either process. */
      let interceptor: Interceptor;
      let otherInterceptor: Interceptor;
      /** Does the background work of a push, in another process. */
      let worker: TagProjections;
      let v2: V2Client;
      let v1: V1Client;
      let otherV1: V1Client;
      before(async () => {
        interceptor = new Interceptor(storage.driver);
        otherInterceptor = new Interceptor(storage.driver);
        server = await startRegistry(interceptor.driver, { v1Layers, runsBackgroundWork: false });
        other = await startRegistry(otherInterceptor.driver, {
          v1Layers,
          runsBackgroundWork: false,
          storageRedirect: true,
        });
        worker = assembleRegistry(interceptor.driver, { copiesLayers: v1Layers === 'copy' }).tagProjections;
        v2 = new V2Client(server.url);
        v1 = new V1Client(server.url);
        otherV1 = new V1Client(other.url);
      });
      after(async () => {
        await server.stop();
        await other.stop();
      });

      /** An image that is pushed by digest only, with the ids of its projections, base first. */
      const pushUntagged = async (repository: string) => {
        const pushed = await pushImage(v2, repository, undefined, {
          contents: [`base ${repository}`, `top ${repository}`],
        });
        const { layers } = pushed.manifest as { layers: { digest: string }[] };
        const baseId = chainIdOf(layers.slice(0, 1).map(({ digest }) => digest));
        return { ...pushed, baseId, topId: pushed.digest.slice('sha256:'.length) };
      };
      const tagByV2 = async (repository: string, { manifest }: PushedImage) =>
        assert.equal((await v2.pushManifest(repository, 'latest', manifest)).status, 201);
      const imageUnder = (id: string) =>
        newImage({ id, layer: gzipSync(tar([{ path: 'pushed', content: Buffer.from('by a v1 client') }])) });
      const assertShows = (pulled: readonly PulledImage[], { tars }: PushedImage) => {
        assert.deepEqual(
          pulled.map(({ layer }) => gunzipSync(layer)),
          tars,
        );
        for (const { json } of pulled) assert.doesNotMatch(String(Buffer.from(json)), /2014-05-15/);
      };
      const statusOf = async (path: string) => (await v2.send('GET', path)).status;
      const statusOfJsonPush = async (id: string) => {
        const body = new Uint8Array(imageUnder(id).json);
        return (await fetch(new URL(`/v1/images/${id}/json`, other.url), { method: 'PUT', body })).status;
      };
      /** Projects the tag `latest` in a process that dies before a write. */
      const dieBefore = async (isMeant: (key: Key) => boolean, repository: string) => {
        interceptor.before('put', isMeant, async () => {
          throw new Error('the process dies here');
        });
        await assert.rejects(worker.update(parseRepositoryName(repository), parseTag('latest')), /dies here/);
      };

      it('are those of the projection from then on, and tags of other repositories that named them name nothing', async () => {
        const [repository, elsewhere] = [newRepository(), newRepository()];
        const pushed = await pushUntagged(repository);
        const { topId, baseId } = pushed;
        const onTop = newImage({ parent: imageUnder(baseId) });
        await otherV1.push(elsewhere, [imageUnder(topId)], { top: topId });
        await otherV1.push(elsewhere, [imageUnder(baseId), onTop], { base: baseId, 'on-top': onTop.id });
        await tagByV2(repository, pushed);
        assertShows(await v1.pull(repository, 'latest'), pushed);

        const tags = await v2.send('GET', `/v1/repositories/${elsewhere}/tags`);
        assert.deepEqual(await tags.json(), { base: baseId, 'on-top': onTop.id });
        assert.equal(await statusOf(`/v2/${elsewhere}/manifests/top`), 404);
        const links = await storage.keysBelow(`oci/repositories/${elsewhere}/blobs/`);
        assert.deepEqual(links, [], 'and nothing of it was linked there');
        const adoption = assembleRegistry(storage.driver, { copiesLayers: false }).adoption;
        const failures = await adoption.run(await adoption.plan([parseRepositoryName(elsewhere)]), { layersAtOnce: 1 });
        assert.deepEqual(
          failures.map(({ what }) => what),
          [`${elsewhere}:top`],
        );
        assert.equal(await statusOf(`/v2/${elsewhere}/manifests/top`), 404);
      });

      it('stay those of the pushed image below the top, where the projection gets other ids', async () => {
        const [repository, elsewhere] = [newRepository(), newRepository()];
        const pushed = await pushUntagged(repository);
        const base = imageUnder(pushed.baseId);
        const onTop = newImage({ parent: base });
        await otherV1.push(elsewhere, [base, onTop], { base: base.id, 'on-top': onTop.id });
        await tagByV2(repository, pushed);
        const [shown] = await v1.pull(repository, 'latest');
        assert.notEqual(shown?.id, base.id);
        for (const client of [v1, otherV1]) {
          assertShows(await client.pull(repository, 'latest'), pushed);
          const kept = await client.pull(elsewhere, 'on-top');
          assert.deepEqual(
            kept.map(({ layer }) => Buffer.from(layer)),
            [base, onTop].map(({ layer }) => Buffer.from(layer)),
          );
        }
        for (const tag of ['base', 'on-top']) assert.equal(await statusOf(`/v2/${elsewhere}/manifests/${tag}`), 200);

        await worker.update(parseRepositoryName(repository), parseTag('latest'));
        const { layers } = pushed.manifest as { layers: object[] };
        const sameBase = { ...pushed.manifest, layers: [...layers, ...layers] };
        assert.equal((await v2.pushManifest(repository, 'other', sameBase)).status, 201);
        const [again] = await v1.pull(repository, 'latest');
        const [shownOfOther] = await v1.pull(repository, 'other');
        assert.equal(again?.id, shown?.id);
        assert.notEqual(shownOfOther?.id, shown?.id, 'another manifest gives other ids');
      });

      it('keep their conversion where v2 has served it', async () => {
        const [repository, elsewhere] = [newRepository(), newRepository()];
        const pushed = await pushUntagged(repository);
        await otherV1.push(elsewhere, [imageUnder(pushed.topId)], { top: pushed.topId });
        const path = `/v2/${elsewhere}/manifests/top`;
        const first = (await (await v2.send('GET', path)).json()) as { layers: { digest: string }[] };
        const blob = `/v2/${elsewhere}/blobs/${first.layers[0]?.digest}`;
        const layer = Buffer.from(await (await v2.send('GET', blob)).bytes());
        await tagByV2(repository, pushed);
        await v1.pull(repository, 'latest');
        assert.deepEqual(await (await v2.send('GET', path)).json(), first);
        assert.deepEqual(Buffer.from(await (await v2.send('GET', blob)).bytes()), layer);
      });

      it('show the projection where it is tagged afterwards, even if v2 had converted the pushed image', async () => {
        const [repository, elsewhere, target] = [newRepository(), newRepository(), newRepository()];
        const pushed = await pushUntagged(repository);
        await otherV1.push(elsewhere, [imageUnder(pushed.topId)], { top: pushed.topId });
        assert.equal(await statusOf(`/v2/${elsewhere}/manifests/top`), 200);
        await tagByV2(repository, pushed);
        const images = await v1.pull(repository, 'latest');
        await v1.push(target, images, { copied: pushed.topId });
        for (const [client, of] of [
          [v1, await v1.pull(target, 'copied')],
          [otherV1, await otherV1.pull(target, 'copied')],
        ] as const) {
          assert.ok(client);
          assertShows(of, pushed);
        }
        const manifest = await v2.send('GET', `/v2/${target}/manifests/copied`);
        const { layers } = (await manifest.json()) as { layers: { digest: string }[] };
        for (const [index, { digest }] of layers.entries()) {
          const blob = await v2.send('GET', `/v2/${target}/blobs/${digest}`);
          assert.deepEqual(gunzipSync(await blob.bytes()), pushed.tars[index]);
        }
      });

      it('give no access to the layer of the projection by an earlier URL', async () => {
        const repository = newRepository();
        const pushed = await pushUntagged(repository);
        const clientImage = imageUnder(pushed.topId);
        await otherV1.push(newRepository(), [clientImage], { top: pushed.topId });
        const given = await fetch(new URL(`/v1/images/${pushed.topId}/layer`, other.url), { redirect: 'manual' });
        const url = given.headers.get('Location');
        await tagByV2(repository, pushed);
        assertShows(await v1.pull(repository, 'latest'), pushed);
        if (url === null) return; // files have none
        assert.deepEqual(Buffer.from(await (await fetch(url)).bytes()), Buffer.from(clientImage.layer));
      });

      it('are not served from what was remembered of the replaced image', async () => {
        const repository = newRepository();
        const pushed = await pushUntagged(repository);
        await otherV1.push(newRepository(), [imageUnder(pushed.topId)], { top: pushed.topId });
        for (const part of ['json', 'layer']) assert.equal(await statusOf(`/v1/images/${pushed.topId}/${part}`), 200);
        await tagByV2(repository, pushed);
        assertShows(await v1.pull(repository, 'latest'), pushed);
      });

      // A push and a projection at the same moment: at every step of the push, the projection stays complete.
      for (const step of ['json', 'ancestry', '_inprogress', 'layer.json']) {
        it(`belong to the projection if a push is about to write its ${step} while the projection is made`, async () => {
          const repository = newRepository();
          const pushed = await pushUntagged(repository);
          const { topId } = pushed;
          const clientImage = imageUnder(topId);
          const put = async (part: string, body: Uint8Array) =>
            await fetch(new URL(`/v1/images/${topId}/${part}`, other.url), {
              method: 'PUT',
              body: new Uint8Array(body),
            });
          if (step === 'layer.json') assert.equal((await put('json', clientImage.json)).status, 200);
          let isMet = false;
          const isMeant = (key: Key) => key.includes(topId) && key.endsWith(`/${step}`);
          otherInterceptor.before('put', isMeant, async () => {
            isMet = true;
            await tagByV2(repository, pushed);
            await v1.pull(repository, 'latest');
          });
          const [part, body] = step === 'layer.json' ? ['layer', clientImage.layer] : ['json', clientImage.json];
          const refused = await put(part as string, body as Uint8Array);
          assert.ok(isMet);
          assert.equal(refused.status, 409, await refused.text());
          const sums = { 'X-Docker-Checksum-Payload': payloadSum(clientImage.json, clientImage.layer) };
          const confirmed = await fetch(new URL(`/v1/images/${topId}/checksum`, other.url), {
            method: 'PUT',
            headers: sums,
          });
          assert.equal(confirmed.status, 409);
          const hasSum = (await storage.textOf(`images/${topId}/_checksum`)) !== undefined;
          // If the JSON came first, the projection replaces a pushed image.
          if (step === 'json' || step === '_inprogress') assert.equal(hasSum, v1Layers === 'copy');
          assertShows(await v1.pull(repository, 'latest'), pushed);
          assertShows(await otherV1.pull(repository, 'latest'), pushed);
        });
      }

      it('belong to the projection even if the process that makes it dies and another one completes it', async () => {
        for (const [step, isPushedBefore] of [
          ['layer.json', true],
          ['ancestry', true],
          ['json', true],
          ['json', false],
        ] as const) {
          const repository = newRepository();
          const pushed = await pushUntagged(repository);
          const { topId } = pushed;
          if (isPushedBefore) await otherV1.push(newRepository(), [imageUnder(topId)], { top: topId });
          await tagByV2(repository, pushed);
          await dieBefore((key) => key.includes(topId) && key.endsWith(`/${step}`), repository);
          assert.equal(await statusOfJsonPush(topId), 409);
          assertShows(await otherV1.pull(repository, 'latest'), pushed);
          const hasCopy = (await storage.textOf(`images/${topId}/_checksum`)) !== undefined;
          assert.equal(hasCopy, v1Layers === 'copy' && !isPushedBefore);
        }
      });

      it('belong to the projection in the end if the process that makes it dies before it has taken them', async () => {
        for (const part of ['ancestry', 'view']) {
          const repository = newRepository();
          const pushed = await pushUntagged(repository);
          const { topId } = pushed;
          await tagByV2(repository, pushed);
          await dieBefore((key) => key.includes(`${topId}/${part}`), repository);
          assert.equal(await statusOf(`/v1/images/${topId}/json`), 404);
          assert.equal(await statusOfJsonPush(topId), 200);
          assertShows(await otherV1.pull(repository, 'latest'), pushed);
        }
      });

      it('show nothing but what the grant describes, which is made again', async () => {
        for (const part of ['json', 'ancestry']) {
          const repository = newRepository();
          const pushed = await pushUntagged(repository);
          await tagByV2(repository, pushed);
          await v1.pull(repository, 'latest');
          const key = `images/${pushed.topId}/${part}`;
          const made = await storage.textOf(key);
          await storage.put(key, part === 'json' ? imageUnder(pushed.topId).json : JSON.stringify([pushed.topId]));
          const fresh = await startRegistry(storage.driver, { v1Layers, runsBackgroundWork: false });
          const shown = await fetch(new URL(`/v1/images/${pushed.topId}/${part}`, fresh.url));
          const pulled = new V1Client(fresh.url).pull(repository, 'latest');
          assertShows(await pulled.finally(() => fresh.stop()), pushed);
          assert.ok([200, 404].includes(shown.status));
          if (shown.status === 200) assert.equal(await shown.text(), made);
          assert.equal(await storage.textOf(key), made);
        }
      });

      it('give the projection its own list of files, even if the replaced image is remembered', async () => {
        const repository = newRepository();
        const pushed = await pushUntagged(repository);
        await otherV1.push(newRepository(), [imageUnder(pushed.topId)], { top: pushed.topId });
        const filesOf = async () => await (await fetch(new URL(`/v1/images/${pushed.topId}/files`, other.url))).text();
        assert.equal((await fetch(new URL(`/v1/images/${pushed.topId}/layer`, other.url))).status, 200);
        await tagByV2(repository, pushed);
        await v1.pull(repository, 'latest');
        for (const files of [await filesOf(), await filesOf()]) {
          assert.ok(files.includes('file-1') && !files.includes('clientImage'), files);
        }
      });

      it('are granted to each repository that shows the projection, even without background work after its push', async () => {
        const [first, second] = [newRepository(), newRepository()];
        const contents = [`of ${first}`, 'and another'];
        const { digest } = await pushImage(v2, first, 'latest', { contents });
        await worker.update(parseRepositoryName(first), parseTag('latest'));
        await pushImage(v2, second, 'latest', { contents });
        await v1.pull(second, 'latest');
        const grants = await storage.keysBelow(`oci/images/${digest.slice('sha256:'.length)}/view/`);
        assert.equal(grants.length, 2, grants.join());
      });

      it('below the top are chosen when needed if the projection record does not have them', async () => {
        const repository = newRepository();
        const pushed = await pushUntagged(repository);
        await storage.put(`oci/images/${pushed.topId}/view.json`, JSON.stringify({ manifest: pushed.digest }));
        await tagByV2(repository, pushed);
        assertShows(await v1.pull(repository, 'latest'), pushed);
      });

      it('are visible again after a push that hid the projection has died', async () => {
        const repository = newRepository();
        const pushed = await pushUntagged(repository);
        await tagByV2(repository, pushed);
        await v1.pull(repository, 'latest');
        await storage.put(`images/${pushed.topId}/_inprogress`, 'true');
        assert.equal((await fetch(new URL(`/v1/images/${pushed.topId}/json`, other.url))).status, 200);
        assert.equal(await storage.textOf(`images/${pushed.topId}/_inprogress`), undefined);
        await worker.update(parseRepositoryName(repository), parseTag('latest'));
        assertShows(await otherV1.pull(repository, 'latest'), pushed);
      });
    });
  }
}
