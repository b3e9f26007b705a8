// Request bodies and responses that are held in memory while clients send and receive them slowly.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gate } from '../../lib/auth/gate.ts';
import { RequestLimits } from '../../lib/auth/request-limits.ts';
import { BodyMemory } from '../../lib/limits/body-memory.ts';
import { MemoryLimit } from '../../lib/limits/memory-limit.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { until } from '../support/until.ts';
import { codesOf, V2Client } from '../v2/client.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const OTHER_ADDRESS = '127.0.0.2';

describe('a registry that holds 8 MiB of bodies in memory', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  const arrived = new MemoryLimit({
    maxBytes: 8 * MiB,
    waitMs: 5000,
    pace: { stallMs: 500, minBytesPerSecond: 64 * 1024 },
  });
  const bodies = new BodyMemory({ arrived });

  before(async () => {
    storage = await openFiles();
    const limits = new RequestLimits({ bodies });
    server = await startRegistry(storage.driver, { auth: { gate: Gate.forOpenRegistry(), limits } });
    client = new V2Client(server.url);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const sockets: Socket[] = [];
  const answers: string[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    answers.length = 0;
    await until(() => bodies.arrived.heldBytes + bodies.parsed.heldBytes === 0, 'something is held');
  });

  const send = (head: string, body: Uint8Array, to = server) => {
    const socket = connect({ host: '127.0.0.1', port: Number(to.url.port), localAddress: OTHER_ADDRESS });
    socket.on('error', () => undefined).on('data', (data) => answers.push(data.toString('latin1').slice(9, 12)));
    socket.write(`${head} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${INDEX}\r\n`);
    socket.write(`Content-Length: ${body.length}\r\n\r\n`);
    if (body.length > 1) socket.write(body.subarray(0, -1));
    sockets.push(socket);
    return { end: () => socket.write(body.subarray(-1)) };
  };

  const large = Buffer.alloc(4 * MiB - 1, ' ');
  large.write('{"schemaVersion":2,"manifests":[]');
  large.write('}', large.length - 1);

  const push = async () =>
    (await client.pushManifest('a/b', 'latest', { schemaVersion: 2, mediaType: INDEX, manifests: [] })).status;

  for (const head of ['PUT /v2/a/b/manifests/large', 'PUT /v1/repositories/a/b/images']) {
    it(`holds no more of slow clients, and accepts those of others: ${head}`, async () => {
      for (let i = 0; i < 12; i++) send(head, large);
      await until(() => arrived.heldBytes >= 4 * MiB && arrived.waiting > 0, 'they have not arrived');
      assert.equal(await push(), 201);
      assert.ok(arrived.heldBytes <= 8 * MiB, `${arrived.heldBytes} bytes are held`);
    });
  }

  it('accepts all of them if their clients go on', async () => {
    const limits = new RequestLimits({ bodies: new BodyMemory({ arrived: new MemoryLimit({ maxBytes: 8 * MiB }) }) });
    const patient = await startRegistry(storage.driver, { auth: { gate: Gate.forOpenRegistry(), limits } });
    const sent = Array.from({ length: 6 }, () => send('PUT /v2/a/b/manifests/large', large, patient));
    for (const { end } of sent) end();
    await until(() => answers.length === 6, 'they are not answered');
    assert.deepEqual(answers, Array(6).fill('201'));
    await patient.stop();
  });

  it('holds nothing for clients that have sent only headers', async () => {
    for (let i = 0; i < 50; i++) send('PUT /v2/a/b/manifests/large', large.subarray(0, 1));
    await sleep(100);
    assert.equal(arrived.heldBytes, 0);
    assert.equal(await push(), 201);
  });

  it('refuses a body that is too large by its Content-Length, before it holds any of it', async () => {
    const response = await client.send('PUT', '/v2/a/b/manifests/latest', { body: Buffer.alloc(4 * MiB + 1) });
    assert.equal(response.status, 413);
    assert.deepEqual(await codesOf(response), ['SIZE_INVALID']);
    assert.equal(arrived.heldBytes, 0);
  });

  it('counts a body that is parsed with the memory it may take', async () => {
    const held: number[] = [];
    const hold = bodies.parsed.open.bind(bodies.parsed);
    bodies.parsed.open = (holder) => {
      setImmediate(() => held.push(bodies.parsed.heldBytes));
      return hold(holder);
    };
    const body = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [] });
    assert.equal(
      (await client.send('PUT', '/v2/a/b/manifests/x', { body, headers: { 'Content-Type': INDEX } })).status,
      201,
    );
    bodies.parsed.open = hold;
    assert.deepEqual(held, [21 * body.length]);
  });
});

describe('responses of 4 MiB that clients do not receive', () => {
  it('hold at most 64 MiB, and leave those of another address alone', async () => {
    const storage = await openFiles();
    const server = await startRegistry(storage.driver);
    const client = new V2Client(server.url);
    const manifest = {
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: [],
      annotations: { x: 'x'.repeat(4 * MiB - 200) },
    };
    assert.equal((await client.pushManifest('a/b', 'latest', manifest)).status, 201);
    /** Sends several requests on one connection, whose own buffers may hold one of the responses. */
    const get = (localAddress: string, requests: number) => {
      const socket = connect({ host: '127.0.0.1', port: Number(server.url.port), localAddress });
      socket.on('error', () => undefined);
      socket.write('GET /v2/a/b/manifests/latest HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(requests));
      return socket.pause();
    };
    const countBytes = async (socket: Socket, expected: number) => {
      let bytes = 0;
      await new Promise<void>((resolve) => {
        socket.once('close', () => resolve());
        socket.on('data', (chunk) => {
          bytes += chunk.length;
          if (bytes > expected) resolve();
        });
        socket.resume();
      });
      return bytes;
    };
    const bytesOf = (requests: number) => requests * (4 * MiB - 200);
    const patient = get('127.0.0.3', 2);
    const greedy = Array.from({ length: 40 }, () => get(OTHER_ADDRESS, 10));
    try {
      await sleep(2000);
      assert.equal((await client.send('GET', '/v2/a/b/manifests/latest')).status, 200);
      const counts = await Promise.all(greedy.map((socket) => countBytes(socket, bytesOf(10))));
      assert.ok(counts.filter((bytes) => bytes < bytesOf(10)).length > 10, 'none was ended');
      assert.ok((await countBytes(patient, bytesOf(2))) > bytesOf(2), 'the connection of another address was ended');
    } finally {
      for (const socket of [patient, ...greedy]) socket.destroy();
      await server.stop();
      await storage.close();
    }
  });
});
