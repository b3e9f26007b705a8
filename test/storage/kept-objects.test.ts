import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Key } from '../../lib/model/layout.ts';
import type { S3Driver } from '../../lib/storage/s3-driver.ts';
import { decodeText, encodeText, KiB } from '../../lib/streams/bytes.ts';
import { driverAt } from './driver-at.ts';

const KEY = 'tag' as Key;
const WRITTEN = 'Fri, 24 May 2013 00:00:00 GMT';
const WRITTEN_AGAIN = 'Fri, 24 May 2013 00:00:01 GMT';
const LATER = 'Fri, 24 May 2013 00:01:00 GMT';

describe('a small object that was read before', () => {
  /** What the server has. Without `lastModified` it sends none with 304. */
  let object: { text: string; etag: string; lastModified: string } | undefined;
  let date = LATER;
  let isChunked = false;
  let answer304 = (headers: Record<string, string>): Record<string, string> | undefined => headers;
  /** The conditions of all requests for the object. */
  let conditions: (string | undefined)[] = [];
  let driver: S3Driver;
  const server = createServer((request, response) => {
    const known = request.headers['if-none-match'];
    conditions.push(request.method === 'GET' ? known : request.method);
    response.sendDate = false;
    if (request.method !== 'GET')
      return void response.writeHead(request.method === 'PUT' ? 200 : 204, { etag: '"e"' }).end();
    if (!object) {
      const xml = '<Error><Code>NoSuchKey</Code></Error>';
      return void response.writeHead(404, { 'content-length': xml.length }).end(xml);
    }
    const headers = { etag: object.etag, 'last-modified': object.lastModified, date };
    const unchanged = known === object.etag ? answer304(headers) : undefined;
    if (unchanged) response.writeHead(304, unchanged).end();
    else {
      response.writeHead(200, isChunked ? headers : { ...headers, 'content-length': object.text.length });
      response.write(object.text);
      response.end();
    }
  });

  beforeEach(async () => {
    object = { text: 'one', etag: '"1"', lastModified: WRITTEN };
    date = LATER;
    isChunked = false;
    answer304 = (headers) => headers;
    conditions = [];
    await once(server.listen(0, '127.0.0.1'), 'listening');
    driver = driverAt(server);
  });
  afterEach(async () => {
    await driver.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const read = async () => {
    const found = await driver.read(KEY);
    return (
      found && [decodeText(found.bytes), found.info.etag, found.info.lastModified.toUTCString(), found.info.sizeBytes]
    );
  };

  it('is asked for on the condition that it has changed, by one request each time', async () => {
    assert.deepEqual(await read(), ['one', '"1"', WRITTEN, 3]);
    assert.deepEqual(await read(), ['one', '"1"', WRITTEN, 3]);
    object = { text: 'two', etag: '"2"', lastModified: WRITTEN };
    assert.deepEqual(await read(), ['two', '"2"', WRITTEN, 3]);
    assert.deepEqual(await read(), ['two', '"2"', WRITTEN, 3]);
    assert.deepEqual(conditions, [undefined, '"1"', '"1"', '"2"']);
  });

  it('has its size where the server does not announce it', async () => {
    isChunked = true;
    for (let i = 0; i < 2; i++) assert.deepEqual(await read(), ['one', '"1"', WRITTEN, 3]);
    assert.deepEqual(conditions, [undefined, '"1"']);
  });

  it('is read as before where the server does not know conditions', async () => {
    answer304 = () => undefined;
    assert.deepEqual(await read(), ['one', '"1"', WRITTEN, 3]);
    assert.deepEqual(await read(), ['one', '"1"', WRITTEN, 3]);
    assert.deepEqual(conditions, [undefined, '"1"']);
  });

  it('is forgotten once it is absent', async () => {
    const before = object;
    await read();
    object = undefined;
    assert.equal(await read(), undefined);
    object = before;
    assert.deepEqual(await read(), ['one', '"1"', WRITTEN, 3]);
    assert.deepEqual(conditions, [undefined, '"1"', undefined]);
  });

  for (const [title, write, method] of [
    ['written', () => driver.put(KEY, encodeText('one')), 'PUT'],
    ['deleted', () => driver.delete(KEY), 'DELETE'],
  ] as const) {
    it(`is forgotten once this process has ${title} it`, async () => {
      await read();
      await write();
      await read();
      assert.deepEqual(conditions, [undefined, method, undefined]);
    });
  }

  it('is read again if it was written again, though its ETag is the same: its bytes may be others with the same MD5', async () => {
    await read();
    object = { text: 'two', etag: '"1"', lastModified: WRITTEN_AGAIN };
    assert.deepEqual(await read(), ['two', '"1"', WRITTEN_AGAIN, 3]);
    assert.deepEqual(conditions, [undefined, '"1"', undefined]);
  });

  for (const [title, answer] of [
    ['no time', ({ etag = '' }) => ({ etag })],
    ['another ETag', (headers) => ({ ...headers, etag: '"2"' })],
  ] as [string, typeof answer304][]) {
    it(`is read again if the server says that it has not changed, with ${title}`, async () => {
      answer304 = answer;
      await read();
      assert.deepEqual(await read(), ['one', '"1"', WRITTEN, 3]);
      assert.deepEqual(conditions, [undefined, '"1"', undefined]);
    });
  }

  it('is not kept in the second in which it was written: another write may have the same time', async () => {
    date = WRITTEN_AGAIN;
    await read();
    await read();
    assert.deepEqual(conditions, [undefined, undefined]);
  });

  it('is not kept if it is large, or its ETag is weak', async () => {
    object = { text: 'x'.repeat(16 * KiB + 1), etag: '"1"', lastModified: WRITTEN };
    await read();
    object = { text: 'one', etag: 'W/"1"', lastModified: WRITTEN };
    await read();
    await read();
    assert.deepEqual(conditions, [undefined, undefined, undefined]);
  });
});
