import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Key } from '../../lib/model/layout.ts';
import { PART_BYTES } from '../../lib/storage/multipart-limits.ts';
import type { S3Driver } from '../../lib/storage/s3-driver.ts';
import { MiB, readAll } from '../../lib/streams/bytes.ts';
import { driverAt } from './driver-at.ts';

const KEY = 'key' as Key;

describe('an upload to S3 of a body in lent memory', { timeout: 30_000 }, () => {
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing));
  let driver: S3Driver;
  /** The bodies that the server has taken, by the number of their part; 0 is a whole object. */
  const taken = new Map<number, Buffer>();
  /** How the server refuses the next PUT of an object or of a first part, before it has read any of its body. */
  let refusal: { status: number; code: string } | undefined;

  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    driver = driverAt(server);
  });
  after(async () => {
    await driver.close();
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => taken.clear());

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const query = new URL(incoming.url ?? '', 'http://server').searchParams;
    if (incoming.method === 'PUT' && query.get('partNumber') !== '2' && refusal) {
      const { status, code } = refusal;
      refusal = undefined;
      outgoing.writeHead(status).end(`<Error><Code>${code}</Code></Error>`);
      return;
    }
    const body = Buffer.from(await readAll(incoming));
    if (query.has('uploads')) outgoing.end('<Result><UploadId>id</UploadId></Result>');
    else if (incoming.method === 'POST') outgoing.end('<Result><ETag>"whole"</ETag></Result>');
    else {
      taken.set(Number(query.get('partNumber')), body);
      const crc32 = incoming.headers['x-amz-checksum-crc32'];
      outgoing.writeHead(200, { ETag: '"e"', ...(crc32 && { 'x-amz-checksum-crc32': crc32 }) }).end();
    }
  }

  it('keeps the memory of a chunk that begins a part until that part is sent', async () => {
    const body = randomBytes(PART_BYTES + 8 * MiB);
    const firstIsBack = Promise.withResolvers<void>();
    async function* chunks() {
      for (let start = 0; start < body.length; start += 5 * MiB) {
        if (start > PART_BYTES) await firstIsBack.promise; // the part before is sent, and a piece of this one has come
        yield Buffer.from(new Uint8Array(body.subarray(start, start + 5 * MiB)).buffer);
      }
    }
    const giveBack = (chunk: Uint8Array) => {
      new Uint8Array(chunk.buffer).fill(0); // as another client would
      firstIsBack.resolve();
    };
    assert.equal(await driver.putStream(KEY, chunks(), { giveBack }), '"whole"');
    assert.ok(Buffer.concat([...taken.values()]).equals(body));
  });

  for (const { title, sizeBytes, how } of [
    { title: 'an object', sizeBytes: 5 * MiB, how: { status: 503, code: 'SlowDown' } },
    { title: 'a part', sizeBytes: PART_BYTES + MiB, how: { status: 503, code: 'SlowDown' } },
    { title: 'a part that is not signed', sizeBytes: PART_BYTES + MiB, how: { status: 403, code: 'AccessDenied' } },
  ]) {
    it(`gives back no chunk of ${title} that a refused request may still send`, async () => {
      const body = randomBytes(sizeBytes);
      const chunks = Array.from({ length: sizeBytes / MiB }, (_, i) => body.subarray(i * MiB, (i + 1) * MiB));
      const back: Uint8Array[] = [];
      refusal = how;
      const giveBack = (chunk: Uint8Array) => void back.push(chunk);
      assert.ok(await driver.putStream(KEY, ReadableStream.from(chunks), { giveBack }));
      assert.equal(refusal, undefined);
      const sentAgain = Math.min(sizeBytes, PART_BYTES) / MiB;
      assert.deepEqual(back, chunks.slice(sentAgain));
    });
  }
});
