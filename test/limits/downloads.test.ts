import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gate } from '../../lib/auth/gate.ts';
import { RequestLimits } from '../../lib/auth/request-limits.ts';
import { ConcurrencyLimit } from '../../lib/limits/concurrency-limit.ts';
import type { Slot } from '../../lib/limits/slot.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { codesOf, V2Client } from '../v2/client.ts';

const AT_ONCE = 4;
const WAIT_MS = 3000;

describe(`a registry that sends ${AT_ONCE} downloads at once, to clients that do not read`, () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  let blob: { digest: string; path: string };
  const content = randomBytes(32 * MiB);
  const cutOff: Slot[] = [];
  /** More than what the buffers of a connection can hold. */
  const pace = { stallMs: 400, minBytesPerSecond: 1000 };
  const downloads = new ConcurrencyLimit({
    what: 'downloads',
    atOnce: AT_ONCE,
    waitMs: WAIT_MS,
    pace,
    onCutOff: (slot) => cutOff.push(slot),
  });

  before(async () => {
    storage = await openFiles();
    const limits = new RequestLimits({ downloads });
    server = await startRegistry(storage.driver, { auth: { gate: Gate.forOpenRegistry(), limits } });
    client = new V2Client(server.url);
    const { digest } = await client.pushBlob('a/b', content);
    blob = { digest, path: `/v2/a/b/blobs/${digest}` };
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (let i = 0; downloads.running + downloads.waiting > 0; i++) {
      assert.ok(i < 200, 'a slot is not released');
      await sleep(10);
    }
    cutOff.length = 0;
  });

  const stall = async (count: number, localAddress: string) => {
    const before = downloads.running + downloads.waiting;
    for (let i = 0; i < count; i++) {
      const socket = connect({ host: '127.0.0.1', port: Number(server.url.port), localAddress });
      socket.on('error', () => undefined).pause();
      socket.write(`GET ${blob.path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      sockets.push(socket);
    }
    for (let i = 0; downloads.running + downloads.waiting < before + count; i++) {
      assert.ok(i < 200, `${downloads.running} run and ${downloads.waiting} wait`);
      await sleep(10);
    }
  };

  it('responds to requests that need no slot', async () => {
    await stall(AT_ONCE + 6, '127.0.0.1');
    const started = performance.now();
    const small = await client.pushBlob('a/b', Buffer.from('small'));
    assert.equal(small.response.status, 201);
    assert.equal((await client.send('GET', `/v2/a/b/blobs/${small.digest}`)).status, 200);
    assert.equal((await client.send('HEAD', blob.path)).status, 200);
    assert.equal((await client.send('GET', '/v2/a/b/manifests/none')).status, 404);
    const range = await client.send('GET', blob.path, { headers: { Range: 'bytes=5-9' } });
    assert.deepEqual(Buffer.from(await range.arrayBuffer()), content.subarray(5, 10));
    const known = await client.send('GET', blob.path, { headers: { 'If-None-Match': `"${blob.digest}"` } });
    assert.equal(known.status, 304);
    assert.ok(performance.now() - started < WAIT_MS);
    assert.deepEqual([downloads.running, downloads.waiting], [AT_ONCE, 6]);
  });

  it('gives the slot of a stalled client to another address', async () => {
    await stall(AT_ONCE * 3, '127.0.0.2');
    // A request without a slot would be refused after `WAIT_MS`.
    const pulled = await client.send('GET', blob.path);
    assert.deepEqual(Buffer.from(await pulled.arrayBuffer()), content);
    assert.ok(cutOff.length > 0);
    assert.deepEqual(new Set(cutOff.map(({ caller }) => caller)), new Set(['address 127.0.0.2']));
  });

  it('ends the connection of a client that loses its slot', async () => {
    await stall(AT_ONCE, '127.0.0.2');
    const pulled = await client.send('GET', blob.path);
    await pulled.arrayBuffer();
    const closed = sockets.map((socket) => new Promise((resolve) => socket.resume().once('close', resolve)));
    await Promise.race(closed);
    assert.equal(cutOff.length, 1);
  });

  it('leaves clients that pause alone while no request waits', async () => {
    const paused = await client.send('GET', blob.path);
    const reader = paused.body?.getReader();
    await reader?.read();
    await sleep(2.5 * pace.stallMs);
    let sizeBytes = 0;
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true };
      if (done) break;
      sizeBytes += value?.length ?? 0;
    }
    assert.ok(sizeBytes > content.length - 10 * MiB);
    assert.equal(cutOff.length, 0);
  });

  it('refuses with 503 a request that waits too long for a slot', async () => {
    const slots = await Promise.all(Array.from({ length: AT_ONCE }, () => downloads.acquire('another')));
    const refused = await client.send('GET', blob.path);
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get('Retry-After'), '5');
    assert.deepEqual(await codesOf(refused), ['UNAVAILABLE']);
    for (const slot of slots) slot.release();
  });

  it('forgets the waiting requests of a client that goes away', async () => {
    const slots = await Promise.all(Array.from({ length: AT_ONCE }, () => downloads.acquire('another')));
    await stall(3, '127.0.0.2');
    assert.equal(downloads.waiting, 3);
    for (const socket of sockets) socket.destroy();
    for (let i = 0; downloads.waiting > 0; i++) {
      assert.ok(i < 50, 'a request waits on');
      await sleep(10);
    }
    for (const slot of slots) slot.release();
  });
});
