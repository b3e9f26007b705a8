import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type Key, layout } from '../../lib/model/layout.ts';
import { PART_BYTES } from '../../lib/storage/multipart-limits.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { BlockPool } from '../../lib/streams/block-pool.ts';
import { MiB, readAll } from '../../lib/streams/bytes.ts';
import { type Minio, startMinio, unfinishedUploads } from '../support/minio.ts';
import { type BlindServer, startBlindServer } from './blind-to-checksums.ts';
import { forward, type S3Proxy, sendError, sendResponse, startProxy } from './s3-proxy.ts';

const UNSIGNED = 'UNSIGNED-PAYLOAD';

/** The chunks of a body are lent: parts are made of them without copies. */
const LENT = { giveBack: () => undefined };

const body = randomBytes(2 * PART_BYTES + 3 * MiB);
const sha256 = createHash('sha256').update(body).digest('hex');

async function* piecesOf(bytes: Uint8Array, sizeBytes = MiB): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += sizeBytes) yield bytes.subarray(start, start + sizeBytes);
}

describe('uploads to S3 by a proxy that sees them', { timeout: 120_000 }, () => {
  let minio: Minio;
  let proxy: S3Proxy;
  let driver: S3Driver;
  let puts: IncomingMessage['headers'][];
  let at: Key;
  /** What the proxy does with a request instead of passing it on unchanged. */
  let meddle: (incoming: IncomingMessage) => 'corrupt' | 'deny' | 'drop' | undefined;

  before(async () => {
    minio = await startMinio();
    proxy = await startProxy(async (incoming, outgoing) => {
      if (incoming.method === 'PUT') puts.push(incoming.headers);
      const how = meddle(incoming);
      if (how === 'drop') return void incoming.once('data', () => incoming.destroy());
      if (how === 'deny') return await sendError(incoming, outgoing, { status: 403, code: 'AccessDenied' });
      const sent = how === 'corrupt' ? Readable.from(corrupted(incoming)) : incoming;
      await sendResponse(await forward(minio.endpoint, incoming, outgoing, incoming.headers, sent), outgoing);
    });
  });
  after(async () => {
    await proxy.close();
    await minio.stop();
  });
  beforeEach(() => {
    driver = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
    puts = [];
    meddle = () => undefined;
    at = layout.data(randomUUID());
  });
  afterEach(() => driver.close());

  const assertStored = async (expected: Uint8Array) => {
    const object = await driver.get(at);
    assert.ok(object);
    assert.ok(Buffer.from(await readAll(object.body)).equals(expected));
  };
  const assertNothingLeft = async () => {
    assert.equal(await driver.head(at), undefined);
    assert.deepEqual(await unfinishedUploads(minio), []);
  };

  it('send parts with a signed CRC-32 each, which the server checks, and no second SHA-256', async () => {
    assert.ok(await driver.putStream(at, piecesOf(body), LENT));
    assert.equal(puts.length, 3);
    for (const headers of puts) {
      assert.equal(headers['x-amz-content-sha256'], UNSIGNED);
      assert.ok(headers['x-amz-checksum-crc32']);
      assert.match(headers.authorization ?? '', /SignedHeaders=[^,]*x-amz-checksum-crc32/);
    }
    await assertStored(body);
  });

  it('send pieces of any size, split where parts end', async () => {
    assert.ok(await driver.putStream(at, piecesOf(body, 5 * MiB - 7), LENT));
    await assertStored(body);
  });

  for (const known of [true, false]) {
    it(`sign a body that fits into one part with its SHA-256, which the caller ${known ? 'knows' : 'does not know'}`, async () => {
      const small = body.subarray(0, PART_BYTES);
      const hex = createHash('sha256').update(small).digest('hex');
      const asked: number[] = [];
      const bodySha256 = () => {
        asked.push(puts.length);
        return hex;
      };
      assert.ok(await driver.putStream(at, piecesOf(small), known ? { ...LENT, bodySha256 } : LENT));
      assert.deepEqual(
        puts.map((headers) => headers['x-amz-content-sha256']),
        [hex],
      );
      assert.equal(asked.length, known ? 1 : 0);
      await assertStored(small);
    });
  }

  it('sign small objects with the SHA-256 that the caller gives', async () => {
    const small = body.subarray(0, 1000);
    const hex = createHash('sha256').update(small).digest('hex');
    assert.ok(await driver.put(at, small, { sha256: hex }));
    assert.equal(puts[0]?.['x-amz-content-sha256'], hex);
    await assert.rejects(driver.put(layout.data(randomUUID()), small, { sha256 }), /XAmzContentSHA256Mismatch/);
  });

  for (const [what, bytes] of [
    ['a part', body],
    ['a body that fits into one part', body.subarray(0, 5 * MiB)],
  ] as const) {
    it(`are refused by the server when a byte of ${what} changes on the way, and leave nothing`, async () => {
      meddle = ({ method }) => (method === 'PUT' ? 'corrupt' : undefined);
      await assert.rejects(driver.putStream(at, piecesOf(bytes), LENT), /storing a stream/);
      meddle = () => undefined;
      await assertNothingLeft();
    });
  }

  it('are signed as a whole where the body is not lent, and refused when a byte changes on the way', async () => {
    assert.ok(await driver.putStream(at, piecesOf(body)));
    assert.ok(puts.every((headers) => headers['x-amz-content-sha256'] !== UNSIGNED));
    await assertStored(body);
    at = layout.data(randomUUID());
    meddle = ({ method }) => (method === 'PUT' ? 'corrupt' : undefined);
    await assert.rejects(driver.putStream(at, piecesOf(body)), /storing a stream/);
    meddle = () => undefined;
    await assertNothingLeft();
  });

  it('send a part again whole when its connection breaks', async () => {
    let drops = 2;
    meddle = ({ method }) => (method === 'PUT' && drops-- > 0 ? 'drop' : undefined);
    assert.ok(await driver.putStream(at, piecesOf(body), LENT));
    assert.equal(puts.length, 5);
    await assertStored(body);
  });

  it('sign parts where a policy forbids unsigned bodies, from the first refusal on', async () => {
    meddle = ({ headers }) => (headers['x-amz-content-sha256'] === UNSIGNED ? 'deny' : undefined);
    assert.ok(await driver.putStream(at, piecesOf(body), LENT));
    await assertStored(body);
    const first = puts.length;
    at = layout.data(randomUUID());
    assert.ok(await driver.putStream(at, piecesOf(body), LENT));
    await assertStored(body);
    assert.ok(puts.slice(first).every((headers) => headers['x-amz-content-sha256'] !== UNSIGNED));
  });

  it('are denied, and leave nothing, where signed parts are denied too', async () => {
    meddle = ({ method }) => (method === 'PUT' ? 'deny' : undefined);
    await assert.rejects(driver.putStream(at, piecesOf(body), LENT), { name: 'StorageDeniedError' });
    meddle = () => undefined;
    await assertNothingLeft();
  });

  it('give back each chunk once the server has answered, and hold two parts at most', async () => {
    const pool = new BlockPool();
    const [held, most] = [new Set<Uint8Array>(), { blocks: 0 }];
    async function* blocks() {
      for (let start = 0; start < 5 * PART_BYTES; start += MiB) {
        const block = pool.take();
        block.set(body.subarray(start % PART_BYTES, (start % PART_BYTES) + MiB));
        held.add(block);
        most.blocks = Math.max(most.blocks, held.size);
        yield block;
      }
    }
    const giveBack = (chunk: Uint8Array) => {
      for (const block of held) if (block.buffer === chunk.buffer) held.delete(block);
      pool.giveBack(chunk);
    };
    assert.ok(await driver.putStream(at, blocks(), { giveBack }));
    assert.equal(held.size, 0);
    assert.ok(most.blocks <= (2 * PART_BYTES) / MiB + 1, `${most.blocks} blocks were held`);
    assert.ok(pool.idle <= (2 * PART_BYTES) / MiB + 1, `${pool.idle} blocks were allocated`);
    await assertStored(Buffer.concat(Array.from({ length: 5 }, () => body.subarray(0, PART_BYTES))));
  });

  describe('to a server that ignores checksums', () => {
    let blind: BlindServer;
    before(async () => {
      blind = await startBlindServer(minio);
    });
    after(() => blind.close());

    it('sign every part once the first answer lacks the checksum', async () => {
      const toBlind = new S3Driver({ ...minio.driverOptions, endpoint: blind.endpoint });
      assert.ok(await toBlind.putStream(at, piecesOf(body), LENT));
      await assertStored(body);
      const ignored = blind.ignored();
      assert.ok(ignored > 0);
      at = layout.data(randomUUID());
      assert.ok(await toBlind.putStream(at, piecesOf(body), LENT));
      await assertStored(body);
      assert.equal(blind.ignored(), ignored);
      await toBlind.close();
    });
  });
});

/** The body with one byte changed, a megabyte from its beginning. */
async function* corrupted(incoming: IncomingMessage): AsyncGenerator<Buffer> {
  let position = 0;
  for await (const chunk of incoming) {
    const bytes = Buffer.from(chunk);
    const at = MiB - position;
    if (at >= 0 && at < bytes.length) bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    position += bytes.length;
    yield bytes;
  }
}
