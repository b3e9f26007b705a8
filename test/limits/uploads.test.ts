import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gate } from '../../lib/auth/gate.ts';
import { RequestLimits } from '../../lib/auth/request-limits.ts';
import { ConcurrencyLimit } from '../../lib/limits/concurrency-limit.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { chunked, codesOf, digestOf, locationOf, V2Client, withDigest } from '../v2/client.ts';

const AT_ONCE = 2;
const WAIT_MS = 300;

describe(`a registry without a login that takes ${AT_ONCE} uploads at once`, () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  const uploads = new ConcurrencyLimit({ what: 'uploads', atOnce: AT_ONCE, waitMs: WAIT_MS });
  const limits = new RequestLimits({ uploads });
  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver, { auth: { gate: Gate.forOpenRegistry(), limits } });
    client = new V2Client(server.url);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  /** Uploads whose clients have begun to send, and end when the test says so. */
  const underWay: { end: () => void; answer: Promise<Response> }[] = [];
  const takeAll = async () => {
    for (let i = 0; i < AT_ONCE; i++) {
      const end = Promise.withResolvers<void>();
      const body = ReadableStream.from(
        (async function* () {
          yield randomBytes(1000);
          await end.promise;
        })(),
      );
      underWay.push({ end: end.resolve, answer: client.send('PATCH', await client.start('a/b'), { body }) });
    }
    for (let i = 0; uploads.running < AT_ONCE; i++) {
      assert.ok(i < 1000, 'they have no slot');
      await sleep(5);
    }
  };
  afterEach(async () => {
    for (const { end, answer } of underWay.splice(0)) {
      end();
      assert.equal((await answer).status, 202);
    }
  });

  const assertRefused = async (response: Response) => {
    assert.equal(response.status, 503);
    assert.equal(response.headers.get('Retry-After'), '5');
    assert.deepEqual(await codesOf(response), ['UNAVAILABLE']);
  };

  for (const [title, sizeBytes] of [
    ['small', 10],
    ['large', 20 * MiB],
  ] as const) {
    it(`refuses another ${title} upload, by every route, after the wait`, async () => {
      const content = randomBytes(sizeBytes);
      const location = await client.start('a/b');
      await takeAll();
      const headers = { 'Content-Range': `0-${sizeBytes - 1}` };
      const answers = await Promise.all([
        client.send('PATCH', location, { body: chunked(content) }),
        client.send('PATCH', location, { body: content, headers }),
        client.send('PUT', withDigest(location, digestOf(content)), { body: content }),
        client.send('POST', `/v2/a/b/blobs/uploads/?digest=${digestOf(content)}`, { body: content }),
      ]);
      for (const answer of answers) await assertRefused(answer);
    });
  }

  it('accepts a waiting upload when another has ended, without another request', async () => {
    const content = randomBytes(20 * MiB);
    await takeAll();
    const pushed = client.pushBlob('a/b', content);
    setTimeout(() => underWay[0]?.end(), WAIT_MS / 3);
    assert.equal((await pushed).response.status, 201);
  });

  it('does not let requests without bytes wait', async () => {
    const content = randomBytes(1000);
    const patched = await client.send('PATCH', await client.start('a/b'), { body: chunked(content) });
    await takeAll();
    const committed = await client.send('PUT', withDigest(locationOf(patched), digestOf(content)));
    assert.equal(committed.status, 201);
    assert.equal((await client.send('GET', locationOf(patched))).status, 204);
    assert.equal((await client.send('GET', `/v2/a/b/blobs/${digestOf(content)}`)).status, 200);
  });

  it('counts v1 layers too', async () => {
    await takeAll();
    const path = `/v1/images/${'a'.repeat(64)}`;
    const response = await client.send('PUT', `${path}/layer`, { body: randomBytes(1000) });
    assert.equal(response.status, 503);
  });
});
