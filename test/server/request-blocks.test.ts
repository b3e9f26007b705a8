import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { discardBodyAfterResponse } from '../../lib/server/drain-request.ts';
import { requestBlocks } from '../../lib/server/request-blocks.ts';
import { BLOCK_BYTES, BlockPool } from '../../lib/streams/block-pool.ts';
import { KiB } from '../../lib/streams/bytes.ts';

describe('requestBlocks', { timeout: 30_000 }, () => {
  let handle: (incoming: IncomingMessage, response: ServerResponse) => Promise<void>;
  let pool: BlockPool;
  const server = createServer((incoming, response) => {
    discardBodyAfterResponse(response, incoming);
    handle(incoming, response).catch((error: Error) => response.writeHead(500).end(error.message));
  });
  before(async () => void (await once(server.listen(0, '127.0.0.1'), 'listening')));
  after(() => server.close());
  beforeEach(() => {
    pool = new BlockPool();
  });

  const open = (headers: Record<string, string> = {}) =>
    request({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, method: 'PUT', headers });
  const send = async (body: Uint8Array, headers: Record<string, string>) => {
    const outgoing = open(headers);
    outgoing.end(body);
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    response.resume();
    return response.statusCode;
  };

  for (const sizeBytes of [0, 1, 64 * KiB, 64 * KiB + 1, BLOCK_BYTES - 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 5]) {
    for (const framing of ['Content-Length', 'Transfer-Encoding']) {
      it(`yields a body of ${sizeBytes} bytes, sent with ${framing}`, async () => {
        const body = randomBytes(sizeBytes);
        const blocks: Buffer[] = [];
        let arrivedBytes = 0;
        handle = async (incoming, response) => {
          for await (const block of requestBlocks(incoming, (more) => (arrivedBytes += more), pool)) {
            blocks.push(Buffer.from(block));
            pool.giveBack(block);
          }
          response.end();
        };
        const value = framing === 'Content-Length' ? String(sizeBytes) : 'chunked';
        assert.equal(await send(body, { [framing]: value }), 200);
        assert.ok(Buffer.concat(blocks).equals(body));
        assert.equal(arrivedBytes, sizeBytes);
        if (sizeBytes > 64 * KiB) {
          assert.ok(blocks.slice(0, -1).every(({ length }) => length === BLOCK_BYTES));
          assert.ok(pool.idle >= 1 && pool.idle <= 2, `${pool.idle} blocks were taken`);
        }
      });
    }
  }

  it('holds two blocks at most while the reader waits, and reports bytes as they arrive', async () => {
    const body = randomBytes(20 * BLOCK_BYTES);
    let arrivedBytes = 0;
    handle = async (incoming, response) => {
      const blocks = requestBlocks(incoming, (more) => (arrivedBytes += more), pool);
      await blocks.next();
      const before = arrivedBytes;
      for (let last = -1; last !== arrivedBytes; ) {
        last = arrivedBytes;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      response.setHeader('X-Ahead', arrivedBytes - before);
      for await (const block of blocks) pool.giveBack(block);
      response.end();
    };
    const outgoing = open();
    outgoing.end(body);
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    response.resume();
    const aheadBytes = Number(response.headers['x-ahead']);
    assert.ok(aheadBytes <= 2 * BLOCK_BYTES, `${aheadBytes} bytes were read ahead`);
    assert.equal(arrivedBytes, body.length);
  });

  it('reports the bytes of a block that is not full yet', async () => {
    const reported = Promise.withResolvers<number>();
    handle = async (incoming, response) => {
      for await (const _ of requestBlocks(incoming, reported.resolve, pool));
      response.end();
    };
    const outgoing = open();
    outgoing.write('x');
    assert.equal(await reported.promise, 1);
    outgoing.end();
    await once(outgoing, 'response');
  });

  it('leaves the connection open when the reader stops early, and keeps no block', async () => {
    handle = async (incoming, response) => {
      for await (const block of requestBlocks(incoming, () => {}, pool)) {
        pool.giveBack(block);
        break;
      }
      response.writeHead(400).end();
    };
    assert.equal(await send(randomBytes(30 * BLOCK_BYTES), {}), 400);
    assert.ok(pool.idle >= 1 && pool.idle <= 3, `${pool.idle} blocks are idle`);
  });

  it('fails when the client goes away, and gives back the block that was being filled', async () => {
    const failed = Promise.withResolvers<unknown>();
    const begun = Promise.withResolvers<void>();
    handle = async (incoming) => {
      try {
        for await (const _ of requestBlocks(incoming, () => begun.resolve(), pool));
        failed.resolve(undefined);
      } catch (error) {
        failed.resolve(error);
      }
    };
    const outgoing = open();
    outgoing.on('error', () => {});
    outgoing.write(randomBytes(100 * KiB));
    await begun.promise;
    outgoing.destroy();
    assert.ok((await failed.promise) instanceof Error);
    assert.equal(pool.idle, 1);
  });

  it('fails when the client has gone away before the first read', async () => {
    const failed = Promise.withResolvers<unknown>();
    const begun = Promise.withResolvers<void>();
    handle = async (incoming) => {
      begun.resolve();
      await new Promise((resolve) => incoming.socket.once('close', resolve));
      requestBlocks(incoming, () => {}, pool)
        .next()
        .then(failed.resolve, failed.resolve);
    };
    const outgoing = open();
    outgoing.on('error', () => {});
    outgoing.write('x');
    await begun.promise;
    outgoing.destroy();
    assert.ok((await failed.promise) instanceof Error);
  });
});
