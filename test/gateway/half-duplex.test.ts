import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Hono } from 'hono';
import { bodyOf } from '../../lib/http/request.ts';
import { startNodeServer } from '../../lib/server/node-server.ts';
import { openFiles } from '../storage/open.ts';
import { freePort } from '../support/free-port.ts';
import { startRegistry } from '../support/registry-server.ts';
import { startLambdaProxy } from './lambda-proxy.ts';

const PIECE = Buffer.alloc(64 * 1024);
const PIECES = 20;

/** Sends a body slowly, and gives the status of the answer. */
async function sendSlowly(port: number, method: string, path: string): Promise<number> {
  const sent = request({ host: '127.0.0.1', port, method, path });
  const answered = new Promise<number>((resolve, reject) => {
    sent.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
  });
  for (let piece = 0; piece < PIECES; piece++) {
    sent.write(PIECE);
    await sleep(10);
  }
  sent.end();
  return await answered;
}

async function startProxy(t: TestContext, to: URL): Promise<number> {
  const from = await freePort();
  const proxy = await startLambdaProxy({ from, to: Number(to.port), timeoutMs: 1000 });
  t.after(() => proxy.stop());
  return from;
}

describe('behind a hop that takes no answer before the end of a body', () => {
  const app = new Hono()
    .put('/at-once', (c) => c.text('refused', 401))
    .put('/after-some', async (c) => {
      await bodyOf(c)[Symbol.asyncIterator]().next();
      return c.text('refused', 404);
    });

  for (const [path, status] of [
    ['/at-once', 401],
    ['/after-some', 404],
  ] as const) {
    it(`an early refusal, ${path}, arrives`, async (t) => {
      const server = await startNodeServer(app, { host: '127.0.0.1', port: 0, isHalfDuplex: true });
      t.after(() => server.stop());
      assert.equal(await sendSlowly(await startProxy(t, server.url), 'PUT', path), status);
    });

    it(`an early refusal, ${path}, is lost where the server does not know of it`, async (t) => {
      const server = await startNodeServer(app, { host: '127.0.0.1', port: 0 });
      t.after(() => server.stop());
      assert.equal(await sendSlowly(await startProxy(t, server.url), 'PUT', path), 504);
    });
  }

  it('an expired session is 404, and an unknown image as well', async (t) => {
    const storage = await openFiles();
    const server = await startRegistry(storage.driver, { isHalfDuplex: true });
    t.after(async () => {
      await server.stop();
      await storage.close();
    });
    const port = await startProxy(t, server.url);
    assert.equal(await sendSlowly(port, 'PATCH', '/v2/a/b/blobs/uploads/made-up?_state=e30.e30'), 404);
    assert.equal(await sendSlowly(port, 'PUT', `/v1/images/${'a'.repeat(64)}/layer`), 404);
  });
});
