// A client that does not read its download holds a connection to S3. No other request waits for that connection.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import type { StoredObject } from '../../lib/storage/driver.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { MiB } from '../../lib/streams/bytes.ts';

/** More than there are connections for small requests. */
const UNREAD = 300;

const large = Buffer.alloc(8 * MiB);
const OBJECT = { ETag: '"e"', 'Last-Modified': new Date(0).toUTCString() };

describe(`an S3 driver with ${UNREAD} bodies that are not read`, () => {
  const server = createServer(answer);
  let driver: S3Driver;
  const bodies: StoredObject[] = [];

  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    driver = new S3Driver({
      bucket: 'bucket',
      keyPrefix: '',
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
    });
    for (let i = 0; i < UNREAD; i++) {
      const object = await driver.get('large' as Key);
      if (object) bodies.push(object);
    }
    assert.equal(bodies.length, UNREAD);
  });
  after(async () => {
    await Promise.all(bodies.map(({ body }) => body.cancel()));
    await driver.close();
    server.closeAllConnections();
    server.close();
  });

  it('reads, lists and deletes', { timeout: 4000 }, async () => {
    assert.equal((await driver.read('small' as Key))?.bytes.length, 5);
    assert.equal((await driver.head('small' as Key))?.sizeBytes, 5);
    assert.equal(await Array.fromAsync(driver.list('' as KeyPrefix)).then(({ length }) => length), 0);
    assert.equal(await driver.delete('small' as Key), true);
  });

  it('writes, small and large', { timeout: 4000 }, async () => {
    assert.equal(await driver.put('small' as Key, Buffer.from('small')), '"e"');
    assert.equal(await driver.put('large' as Key, large.subarray(0, MiB)), '"e"');
    const upload = { key: 'large' as Key, uploadId: 'upload' };
    assert.equal((await driver.uploadPart(upload, 1, large))?.etag, '"e"');
    assert.equal(await driver.putStream('large' as Key, ReadableStream.from([large.subarray(0, MiB)])), '"e"');
  });

  it('opens further bodies, and reads each to its end', { timeout: 4000 }, async () => {
    const further = await driver.get('large' as Key);
    let sizeBytes = 0;
    for await (const chunk of further?.body ?? []) sizeBytes += chunk.length;
    assert.equal(sizeBytes, large.length);
  });
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  for await (const _ of request); // all of the body, before the answer
  const url = new URL(request.url ?? '', 'http://s3');
  if (url.searchParams.has('list-type')) {
    response.end('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>');
  } else if (request.method === 'GET' || request.method === 'HEAD') {
    const bytes = url.pathname.endsWith('/large') ? large : Buffer.from('small');
    response.writeHead(200, { ...OBJECT, 'Content-Length': bytes.length });
    response.end(request.method === 'GET' ? bytes : undefined);
  } else {
    response.writeHead(request.method === 'DELETE' ? 204 : 200, OBJECT).end();
  }
}
