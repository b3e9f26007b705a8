import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { immutabilityOf } from '../../lib/config/immutable-tags.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { type FaultyProxy, type SeenRequest, startFaultyProxy } from '../storage/faulty-proxy.ts';
import { type Minio, startMinio } from '../support/minio.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V1Client } from '../support/v1-client.ts';
import { TOP_ID, ubuntuChain } from '../v1/chain.ts';
import { chunked, digestOf, locationOf, V2Client, withDigest } from './client.ts';
import { pushImage } from './image.ts';

/** Requests that reach S3, counted on the wire between the SDK and the server. */
describe('S3 requests', () => {
  let minio: Minio;
  let proxy: FaultyProxy;
  let driver: S3Driver;
  let server: RegistryServer;
  let client: V2Client;

  before(async () => {
    minio = await startMinio();
    proxy = await startFaultyProxy(minio.endpoint);
    driver = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
    server = await startRegistry(driver, { storageRedirect: true, v1Layers: 'link', runsBackgroundWork: false });
    client = new V2Client(server.url);
    await driver.findLimitations(); // as a server does at its start: what S3 honours is not asked in between
  });
  after(async () => {
    await server.stop();
    await driver.close();
    await proxy.close();
    await minio.stop();
  });

  const requestsOf = async (operation: () => Promise<unknown>): Promise<string[]> => {
    proxy.requests.length = 0;
    await operation();
    return proxy.requests.map(({ method, url }) => `${method} ${url}`);
  };
  const assertCount = async (expected: number, operation: () => Promise<unknown>) => {
    const seen = await requestsOf(operation);
    assert.equal(seen.length, expected, seen.join('\n'));
  };

  const isRead = ({ method }: SeenRequest) => method === 'GET';
  /** Delays matching requests until `expected` of them wait, or for half a minute. @returns how many waited together */
  const mostAtOnce = async (
    expected: number,
    matches: (request: SeenRequest) => boolean,
    operation: () => Promise<unknown>,
  ): Promise<number> => {
    const { promise: until, resolve: letGo } = Promise.withResolvers<void>();
    let waiting = 0;
    const counts = (request: SeenRequest) => {
      if (!matches(request)) return false;
      if (++waiting === expected) letGo();
      return true;
    };
    const patience = setTimeout(letGo, 30_000);
    let most = 0;
    void until.then(() => (most = waiting));
    proxy.fail(counts, { kind: 'hold', until }, expected);
    await operation();
    clearTimeout(patience);
    return most;
  };

  const patchAndPut = async (repository: string, bytes: Uint8Array) => {
    const patched = await client.send('PATCH', await client.start(repository), { body: chunked(bytes) });
    const put = await client.send('PUT', withDigest(locationOf(patched), digestOf(bytes)));
    assert.equal(put.status, 201);
  };

  it('a manifest by tag takes 2, or 1 if it was pulled before; by digest 1', async () => {
    for (const method of ['GET', 'HEAD']) {
      const { digest } = await pushImage(client, 'count/app', 'latest', { contents: [method, 'two'] });
      await assertCount(2, () => client.send(method, '/v2/count/app/manifests/latest'));
      await assertCount(1, () => client.send(method, '/v2/count/app/manifests/latest'));
      await assertCount(1, () => client.send(method, `/v2/count/app/manifests/${digest}`));
    }
  });

  it('a blob by redirect takes 1; HEAD of a blob 1, whether it exists or not', async () => {
    const { digest } = await client.pushBlob('count/app', Buffer.from('a blob'));
    await assertCount(1, async () => {
      const response = await client.send('GET', `/v2/count/app/blobs/${digest}`);
      assert.equal(response.status, 307);
    });
    await assertCount(1, () => client.send('HEAD', `/v2/count/app/blobs/${digest}`));
    await assertCount(1, () => client.send('HEAD', `/v2/count/app/blobs/${digestOf('nothing')}`));
  });

  it('the start of an upload takes 0', async () => {
    await assertCount(0, () => client.start('count/app'));
  });

  it('a small blob takes 2, by POST and PUT as by POST, PATCH and PUT', async () => {
    await assertCount(2, () => client.pushBlob('count/app', randomBytes(1000)));
    await assertCount(2, () => patchAndPut('count/app', randomBytes(1000)));
  });

  for (const sizeMiB of [30, 100]) {
    it(`a new blob of ${sizeMiB} MiB in n parts takes n + 4 by PUT, n + 5 by PATCH and PUT`, async () => {
      const bytes = Buffer.concat(Array.from({ length: sizeMiB }, () => randomBytes(MiB)));
      const parts = Math.ceil(sizeMiB / 12);
      await assertCount(parts + 4, () => client.pushBlob('count/app', bytes));
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      await assertCount(parts + 5, () => patchAndPut('count/app', bytes));
      assert.ok(sizeMiB < 100 || parts + 5 <= 15);
    });
  }

  it('a blob of more than 4 MiB that is stored already takes 2 by PUT, a mount 3, a mount from anywhere 2', async () => {
    const bytes = randomBytes(5 * MiB);
    const { digest } = await client.pushBlob('count/app', bytes);
    await assertCount(2, () => client.pushBlob('count/again', bytes));
    for (const [count, from] of [
      [3, '&from=count/app'],
      [2, ''],
    ] as const) {
      await assertCount(count, async () => {
        const response = await client.send('POST', `/v2/count/mounted/blobs/uploads/?mount=${digest}${from}`);
        assert.equal(response.status, 201);
      });
    }
  });

  it('the two reads of a mount are side by side', async () => {
    const { digest } = await client.pushBlob('count/app', randomBytes(1000));
    const mount = () => client.send('POST', `/v2/count/beside/blobs/uploads/?mount=${digest}&from=count/app`);
    assert.equal(await mostAtOnce(2, isRead, mount), 2);
  });

  it('a new blob in n chunks, each a part, takes n + 6', async () => {
    const chunks = Array.from({ length: 3 }, () => randomBytes(6 * MiB));
    await assertCount(chunks.length + 6, async () => {
      let location = await client.start('count/app');
      for (const [index, body] of chunks.entries()) {
        const start = index * body.length;
        const headers = { 'Content-Range': `${start}-${start + body.length - 1}` };
        location = locationOf(await client.send('PATCH', location, { body, headers }));
      }
      const put = await client.send('PUT', withDigest(location, digestOf(Buffer.concat(chunks))));
      assert.equal(put.status, 201);
    });
  });

  // One of them checks that no concurrent deletion has removed the manifest. The last writes the history of the tag, which
  // follows the answer in a process with background work.
  it('a manifest of N blobs with its tag takes N + 3, and 1 for the history of the tag, the N side by side', async () => {
    const { manifest } = await pushImage(client, 'count/app', 'first', { contents: ['a', 'b', 'c', 'd'] });
    await assertCount(5 + 3 + 1, () => client.pushManifest('count/app', 'second', manifest));
    assert.equal(await mostAtOnce(5, isRead, () => client.pushManifest('count/app', 'third', manifest)), 5);
  });

  it('a manifest takes 3 more, beside the N, where tags may be immutable', async () => {
    const isImmutable = immutabilityOf([{ repositories: 'kept/*', tags: 'v*' }]);
    const keeping = await startRegistry(driver, { runsBackgroundWork: false, isImmutable });
    const other = new V2Client(keeping.url);
    const { manifest } = await pushImage(other, 'kept/app', 'v1', { contents: ['a', 'b', 'c', 'd'] });
    await assertCount(5 + 3 + 1 + 3, () => other.pushManifest('kept/app', 'v2', manifest));
    await pushImage(other, 'count/app', 'v1', { contents: ['a', 'b', 'c', 'd'] });
    await assertCount(5 + 3 + 1, () => other.pushManifest('count/app', 'v2', manifest));
    await keeping.stop();
  });

  it('a list of tags takes 1', async () => {
    await assertCount(1, () => client.send('GET', '/v2/count/app/tags/list'));
  });

  it('the catalog takes 1, and 1 for each namespace', async () => {
    for (const repository of ['list-a/app', 'list-b/app', 'list-b/other']) {
      await pushImage(client, repository, 'latest', { contents: ['x'] });
    }
    const catalog = await client.send('GET', '/v2/_catalog');
    const { repositories } = (await catalog.json()) as { repositories: string[] };
    const namespaces = new Set(repositories.map((name) => name.split('/')[0]));
    await assertCount(1 + namespaces.size, () => client.send('GET', '/v2/_catalog'));
    // Namespaces are read in groups of 1, 2, 4 and 8.
    await assertCount(1 + 1 + 2, () => client.send('GET', '/v2/_catalog?n=1'));
  });

  it('a long catalog reads namespaces side by side', async () => {
    for (let each = 0; each < 7; each++) await pushImage(client, `many-${each}/app`, 'latest', { contents: ['x'] });
    let seen = 0;
    const isOfThirdGroup = ({ url }: SeenRequest) => url.includes('many-') && ++seen > 3;
    const most = await mostAtOnce(4, isOfThirdGroup, () => client.send('GET', '/v2/_catalog?last=man/app'));
    assert.equal(most, 4);
  });

  it('the deletion of a manifest with M of T tags takes 2 + T + 2M + 2', async () => {
    const { digest, manifest } = await pushImage(client, 'count/deleted', 'a', { contents: ['gone'] });
    await client.pushManifest('count/deleted', 'b', manifest);
    await pushImage(client, 'count/deleted', 'c', { contents: ['stays'] });
    // The tags are listed before and after: the manifest may be pushed again meanwhile.
    await assertCount(2 + 3 + 2 * 2 + 2, () => client.send('DELETE', `/v2/count/deleted/manifests/${digest}`));
  });

  const partsOf = async (id: string) => {
    for (const part of ['json', 'ancestry', 'layer']) {
      const response = await client.send('GET', `/v1/images/${id}/${part}`);
      assert.ok([200, 302].includes(response.status));
    }
  };

  // Four for the image: a listing of its objects, JSON, checksums and ancestry. Five for the right to it: a listing of grants and
  // the tag, the tag, and the tag and that it is no projection.
  it('a v1 pull of one image that v1 pushed takes 9 with the checks of the right to it', async () => {
    const v1 = new V1Client(server.url);
    await v1.push('count/v1', ubuntuChain(), { latest: TOP_ID });
    await assertCount(9, () => partsOf(TOP_ID));
  });

  // Five for the image: the four above and the link to its layer. Four for the right: a listing of grants, and each time whether the manifest
  // is there.
  it('a v1 pull of a top projection takes 9', async () => {
    const { digest } = await pushImage(client, 'count/projected', 'latest', { contents: ['one'] });
    await client.send('GET', '/v1/repositories/count/projected/tags/latest');
    await assertCount(9, () => partsOf(digest.slice('sha256:'.length)));
  });

  describe('with all that follows the answer in the background', () => {
    let working: RegistryServer;
    let other: V2Client;
    before(async () => {
      working = await startRegistry(driver, { storageRedirect: true, v1Layers: 'link' });
      other = new V2Client(working.url);
    });
    after(() => working.stop());

    const allRequestsOf = async (operation: () => Promise<unknown>) => {
      await working.idle();
      return await requestsOf(async () => {
        await operation();
        await working.idle();
      });
    };
    const assertAtMost = async (most: number, operation: () => Promise<unknown>) => {
      const seen = await allRequestsOf(operation);
      assert.ok(seen.length <= most, `${seen.length} requests, at most ${most} are allowed\n${seen.join('\n')}`);
    };

    it('a push takes 1 for the history of each tag, and 2 for the facts of a new manifest', async () => {
      const { manifest } = await pushImage(other, 'follow/pushed', undefined, { contents: ['facts'] });
      const changed = { ...manifest, annotations: { changed: 'yes' } };
      const { config } = manifest as unknown as { config: { digest: string } };
      const hex = config.digest.slice('sha256:'.length);
      const first = await allRequestsOf(() =>
        other.pushManifest('follow/pushed', digestOf(JSON.stringify(changed)), changed),
      );
      assert.equal(first.filter((request) => request.includes('/facts/')).length, 1);
      // The check of the push reads the link of the config, and the facts read the config.
      assert.equal(first.filter((request) => request.includes(hex)).length, 1 + 1);
      const again = await allRequestsOf(() => other.pushManifest('follow/pushed', 'latest', changed));
      assert.equal(again.filter((request) => request.includes('/history/')).length, 1);
      assert.equal(again.filter((request) => request.includes('/facts/')).length, 0);
    });

    it('the deletion of a tag takes at most 8, and 1 more where DELETE is not conditional', async () => {
      for (const tags of [['a'], ['a', 'b'], ['a', 'b', 'c', 'latest']]) {
        const repository = `follow/tags-${tags.length}`;
        const { manifest } = await pushImage(other, repository, 'a', { contents: ['tag'] });
        for (const tag of tags) await other.pushManifest(repository, tag, manifest);
        await assertAtMost(8 + 1, () => other.send('DELETE', `/v2/${repository}/manifests/${tags.at(-1)}`));
      }
    });

    it('the deletion of a manifest with M of T tags takes at most 2⌈T/1,000⌉ + 4M + 6, and M more where DELETE is not conditional', async () => {
      for (const named of [1, 2, 5]) {
        const repository = `follow/manifests-${named}`;
        const { digest, manifest } = await pushImage(other, repository, 'a', { contents: ['named'] });
        for (let each = 1; each < named; each++) await other.pushManifest(repository, `more-${each}`, manifest);
        await pushImage(other, repository, 'other', { contents: ['another'] });
        await assertAtMost(2 + 4 * named + 6 + named, () =>
          other.send('DELETE', `/v2/${repository}/manifests/${digest}`),
        );
      }
    });
  });
});
