import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { mapConcurrently } from '../../lib/concurrency/map-concurrently.ts';
import { type Key, layout } from '../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';

/** Storage that counts the requests it gets. */
export type CountedStorage = {
  driver: StorageDriver;
  /** The same storage; its requests are not counted. */
  uncounted: StorageDriver;
  /** The requests since the last call, each as `METHOD key`. */
  takeRequests(): string[];
  /** The most that the deletion of a tag may cost. */
  mostOfTag: number;
  close(): Promise<void>;
};

const hexOf = (text: string) => createHash('sha256').update(text).digest('hex');

/** Deletions cost a known number of storage requests, what follows the answer included. */
export function deletionRequestsSuite(name: string, open: () => Promise<CountedStorage>): void {
  describe(`storage requests of deletions on ${name}, background work included`, () => {
    let storage: CountedStorage;
    let server: RegistryServer;
    let client: V2Client;
    /** A server that has read nothing yet. */
    const startServer = () => startRegistry(storage.driver, { v1Layers: 'link' });
    before(async () => {
      storage = await open();
      await storage.driver.findLimitations?.(); // as a server does at its start
      server = await startServer();
      client = new V2Client(server.url);
    });
    after(async () => {
      await server.stop();
      await storage.close();
    });

    const requestsOf = async (at: RegistryServer, path: string): Promise<string[]> => {
      await Promise.all([server.idle(), at.idle()]);
      storage.takeRequests();
      const { status } = await new V2Client(at.url).send('DELETE', path);
      assert.equal(status, 202);
      await at.idle();
      return storage.takeRequests();
    };
    const assertAtMost = (most: number, requests: readonly string[]) =>
      assert.ok(requests.length <= most, `${requests.length} requests, more than ${most}:\n${requests.join('\n')}`);

    /** Writes tags `t<n>`, each of a manifest of its own, and adds their projections to `_index_images`. */
    const plant = async (repositoryName: string, tags: number, manifest: object) => {
      const repository = parseRepositoryName(repositoryName);
      const texts = Array.from({ length: tags }, (_, n) => JSON.stringify({ ...manifest, annotations: { n: `${n}` } }));
      const put = (key: Key, text: string) => storage.uncounted.put(key, encodeText(text));
      await mapConcurrently(
        [...texts.entries()],
        async ([n, text]) => {
          await put(layout.manifest(repository, parseDigest(`sha256:${hexOf(text)}`)), text);
          await put(layout.tag(repository, parseTag(`t${n}`)), hexOf(text));
        },
        64,
      );
      const ids = [...(await indexedIn(repositoryName)), ...texts.map(hexOf)];
      await put(layout.indexImages(repository), JSON.stringify(ids.map((id) => ({ id }))));
    };
    const indexedIn = async (repositoryName: string): Promise<string[]> => {
      const index = await storage.uncounted.read(layout.indexImages(parseRepositoryName(repositoryName)));
      const entries = index ? (JSON.parse(new TextDecoder().decode(index.bytes)) as { id: string }[]) : [];
      return entries.map(({ id }) => id);
    };
    const metadataOf = async (repositoryName: string, tag: string) => {
      const key = layout.tagJson(parseRepositoryName(repositoryName), parseTag(tag));
      return key && (await storage.uncounted.head(key));
    };

    for (const others of [0, 1, 1500]) {
      describe(`in a repository of ${others} other tags`, () => {
        const repository = `count/beside-${others}`;
        let pushes = 0;
        before(async () => {
          if (others === 0) return;
          const { manifest } = await pushImage(client, repository, undefined, { contents: ['base'] });
          await plant(repository, others, manifest);
        });
        const push = async (...tags: string[]) => {
          const { digest, manifest } = await pushImage(client, repository, tags[0], { contents: [`${++pushes}`] });
          for (const tag of tags.slice(1)) await client.pushManifest(repository, tag, manifest);
          await server.idle();
          return digest;
        };

        for (const tag of ['v1', 'latest']) {
          it(`the tag ${tag}`, async () => {
            const digest = await push(tag);
            const hex = digest.slice('sha256:'.length);
            assert.ok((await indexedIn(repository)).includes(hex) && (await metadataOf(repository, tag)));
            assertAtMost(storage.mostOfTag, await requestsOf(server, `/v2/${repository}/manifests/${tag}`));
            assert.ok(!(await indexedIn(repository)).includes(hex), 'no tag names the projection');
            assert.equal(await metadataOf(repository, tag), undefined);
          });
        }

        it('a tag that another process has pushed', async () => {
          await push('elsewhere');
          const other = await startServer();
          try {
            assertAtMost(storage.mostOfTag, await requestsOf(other, `/v2/${repository}/manifests/elsewhere`));
          } finally {
            await other.stop();
          }
          assert.equal(await metadataOf(repository, 'elsewhere'), undefined);
        });

        it('a tag that one process deletes, and another cleans up after, as on Lambda', async () => {
          const digest = await push('function');
          const api = await startRegistry(storage.driver, { runsBackgroundWork: false });
          const worker = assembleRegistry(storage.driver, { copiesLayers: false });
          try {
            const requests = await requestsOf(api, `/v2/${repository}/manifests/function`);
            await worker.tagProjections.updateDeleted(parseRepositoryName(repository), parseTag('function'));
            assertAtMost(storage.mostOfTag, [...requests, ...storage.takeRequests()]);
          } finally {
            await api.stop();
          }
          assert.equal(await metadataOf(repository, 'function'), undefined);
          if (others <= 1000) assert.ok(!(await indexedIn(repository)).includes(digest.slice('sha256:'.length)));
        });

        for (const tags of [[], ['latest'], ['latest', 'v1', 'v2']]) {
          it(`a manifest that ${tags.length} tags name`, async () => {
            const digest = await push(...tags);
            const all = others + tags.length;
            const most = 2 * Math.ceil(all / 1000) + 4 * tags.length + 6;
            assertAtMost(most, await requestsOf(server, `/v2/${repository}/manifests/${digest}`));
            for (const tag of tags) {
              assert.equal((await client.send('HEAD', `/v2/${repository}/manifests/${tag}`)).status, 404);
              assert.equal(await metadataOf(repository, tag), undefined);
            }
            assert.ok(!(await indexedIn(repository)).includes(digest.slice('sha256:'.length)));
          });
        }
      });
    }
  });
}
