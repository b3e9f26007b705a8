import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Key } from '../../lib/model/layout.ts';
import {
  type ETag,
  type PutOptions,
  StorageDeniedError,
  StorageFullError,
  StorageUnavailableError,
} from '../../lib/storage/driver.ts';
import type { S3Driver } from '../../lib/storage/s3-driver.ts';
import { SMALL_BYTES } from '../../lib/storage/s3-requests.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { driverAt } from './driver-at.ts';

type Seen = { method: string; path: string; headers: IncomingHttpHeaders; body: string };
type Answer = (response: ServerResponse, seen: Seen) => void;

const KEY = 'a b/tag' as Key;
const BODY = 'sha256:abc';
const SHA256 = createHash('sha256').update(BODY).digest('hex');
const done: Answer = (response) => void response.writeHead(200, { etag: '"e"' }).end();
const refuse =
  (status: number, code: string): Answer =>
  (response) =>
    void response.writeHead(status).end(`<Error><Code>${code}</Code><Message>no</Message></Error>`);
const lose: Answer = (response) => void response.destroy();
const giveObject =
  (text: string): Answer =>
  (response) =>
    void response.writeHead(200, { etag: '"e"', 'last-modified': new Date(0).toUTCString() }).end(text);

describe('a small put in a bucket', () => {
  let requests: Seen[] = [];
  /** To the first request, the second, and so on; the last one to all further ones. */
  let answers: Answer[] = [done];
  let driver: S3Driver;
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      const seen = { method, path: url.split('?')[0] ?? '', headers, body: Buffer.concat(chunks).toString() };
      const answer = answers[Math.min(requests.length, answers.length - 1)] ?? done;
      requests.push(seen);
      answer(response, seen);
    });
  });

  beforeEach(async () => {
    requests = [];
    answers = [done];
    await once(server.listen(0, '127.0.0.1'), 'listening');
    driver = driverAt(server, {
      keyPrefix: 'prefix/',
      encrypt: true,
      credentials: { accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: 'token' },
    });
  });
  afterEach(async () => {
    await driver.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const put = (options: PutOptions = {}) => driver.put(KEY, encodeText(BODY), options);
  const methods = () => requests.map(({ method }) => method);
  const isOfSdk = ({ headers }: Seen) => headers['amz-sdk-request'] !== undefined;

  it('is one request without the SDK, and returns the ETag', async () => {
    assert.equal(await put(), '"e"');
    assert.equal(await put(), '"e"');
    assert.deepEqual(requests.map(isOfSdk), [false, false]);
    assert.deepEqual(
      requests.map(({ body }) => body),
      [BODY, BODY],
    );
  });

  for (const options of [
    {},
    { ifAbsent: true, contentType: 'application/json', sha256: SHA256 },
    { ifMatch: '"before"' as ETag, contentType: 'text/plain' },
  ]) {
    it(`says the same as a put of the SDK, which follows if it gets no answer: ${JSON.stringify(options)}`, async () => {
      answers = [lose, done];
      assert.equal(await put(options), '"e"');
      assert.deepEqual(requests.map(isOfSdk), [false, true]);
      const [ours, its] = requests.map(({ headers, ...rest }) => {
        const { host, connection, authorization, 'x-amz-date': date, 'user-agent': agent, ...own } = headers;
        const others = ['x-amz-user-agent', 'amz-sdk-invocation-id', 'amz-sdk-request'];
        const said = Object.entries(own).filter(([name]) => !others.includes(name));
        return { ...rest, headers: Object.fromEntries(said) };
      });
      assert.deepEqual(ours, its);
      assert.equal(ours?.headers['x-amz-server-side-encryption'], 'AES256');
      assert.equal(ours?.headers['x-amz-content-sha256'], SHA256);
    });
  }

  it('is sent by the SDK if the body is larger', async () => {
    await driver.put(KEY, new Uint8Array(SMALL_BYTES));
    await driver.put(KEY, new Uint8Array(SMALL_BYTES + 1));
    assert.deepEqual(requests.map(isOfSdk), [false, true]);
  });

  for (const [title, options, answer] of [
    ['if there is an object already', { ifAbsent: true }, refuse(412, 'PreconditionFailed')],
    ['if the object has changed', { ifMatch: '"before"' as ETag }, refuse(412, 'PreconditionFailed')],
    ['if the object is gone', { ifMatch: '"before"' as ETag }, refuse(404, 'NoSuchKey')],
  ] as const) {
    it(`writes nothing ${title}, which takes one request`, async () => {
      answers = [answer];
      assert.equal(await put(options), undefined);
      assert.deepEqual(requests.map(isOfSdk), [false]);
    });
  }

  it('writes nothing if its condition fails, also where the answer has no body and the object has the same bytes', async () => {
    const fail: Answer = (response) => void response.writeHead(412).end();
    answers = [fail, fail, giveObject(BODY)];
    assert.equal(await put({ ifAbsent: true }), undefined);
    assert.deepEqual(methods(), ['PUT']);
  });

  it('is sent again while its condition conflicts with another write', async () => {
    answers = [refuse(409, 'ConditionalRequestConflict'), refuse(409, 'ConditionalRequestConflict'), done];
    assert.equal(await put({ ifAbsent: true }), '"e"');
    assert.equal(requests.length, 3);
    requests = [];
    answers = [refuse(409, 'ConditionalRequestConflict')];
    await assert.rejects(put({ ifAbsent: true }), StorageUnavailableError);
    assert.equal(requests.length, 5);
  });

  for (const [title, found, etag] of [
    ['has succeeded if the object has its bytes', BODY, '"e"'],
    ['has failed if the object has other bytes', 'sha256:def', undefined],
  ] as const) {
    for (const [what, first] of [
      ['gets no answer', lose],
      ['gets an error of the server', refuse(500, 'InternalError')],
      ['gets an answer that is not understood', (response) => void response.writeHead(200).end()],
    ] as [string, Answer][]) {
      it(`whose first attempt ${what}, and whose second fails by its condition, ${title}`, async () => {
        answers = [first, refuse(412, 'PreconditionFailed'), giveObject(found)];
        assert.equal(await put({ ifAbsent: true }), etag);
        assert.deepEqual(methods(), ['PUT', 'PUT', 'GET']);
      });
    }
  }

  for (const [status, code, error] of [
    [403, 'AccessDenied', StorageDeniedError],
    [400, 'InvalidRequest', Error],
    [404, 'NoSuchBucket', Error],
  ] as const) {
    it(`that the server refuses by ${code} is not sent again`, async () => {
      answers = [refuse(status, code)];
      await assert.rejects(put(), (thrown) => thrown instanceof error && thrown.message.includes(`${code}: no`));
      assert.equal(requests.length, 1);
    });
  }

  for (const [status, code] of [
    [403, 'RequestTimeTooSkewed'],
    [400, 'RequestTimeout'],
    [429, 'TooManyRequests'],
    [503, 'SlowDown'],
  ] as const) {
    it(`that the server refuses by ${code} is sent again`, async () => {
      answers = [refuse(status, code), done];
      assert.equal(await put(), '"e"');
      assert.equal(requests.length, 2);
    });
  }

  for (const [status, code] of [
    [429, 'TooManyRequests'],
    [503, 'SlowDown'],
  ] as const) {
    it(`that the server refuses by ${code} is sent again after a pause`, async (t) => {
      answers = [lose, done];
      await put(); // loads the SDK
      t.mock.method(Math, 'random', () => 0.9);
      requests = [];
      const events: string[] = [];
      const refuseAndWait: Answer = (response, seen) => {
        setTimeout(() => events.push('the pause'), 200);
        events.push('the first request');
        refuse(status, code)(response, seen);
      };
      const succeed: Answer = (response, seen) => {
        events.push('the second request');
        done(response, seen);
      };
      answers = [refuseAndWait, succeed];
      assert.equal(await put(), '"e"');
      assert.deepEqual(events, ['the first request', 'the pause', 'the second request']);
    });
  }

  for (const [status, code] of [
    [507, 'XMinioStorageFull'],
    [403, 'QuotaExceeded'],
  ] as const) {
    it(`that is refused by ${code} makes the driver check for room`, async () => {
      answers = [refuse(status, code)];
      await assert.rejects(put(), StorageFullError);
      await assert.rejects(driver.checkRoom(), StorageFullError);
      answers = [done];
      requests = [];
      await driver.checkRoom();
      await driver.checkRoom();
      assert.deepEqual(methods(), ['PUT', 'DELETE']);
    });
  }

  it('with a look is signed so that it expires with it, and is not sent again when it has', async () => {
    const before = Date.now();
    await put({ look: { remainingMs: 60_000 } });
    const [, year, month, day, hour, minute, second] =
      /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(requests[0]?.headers['x-amz-date']))?.map(Number) ?? [];
    const signedAt = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second);
    const earlierMs = 14 * 60_000;
    assert.ok(signedAt >= before - earlierMs - 1000 && signedAt <= Date.now() - earlierMs, `${signedAt}`);
    requests = [];
    answers = [refuse(403, 'RequestTimeTooSkewed')];
    await assert.rejects(put({ look: { remainingMs: 60_000 } }), StorageUnavailableError);
    await assert.rejects(put({ look: { remainingMs: 0 } }), StorageUnavailableError);
    assert.equal(requests.length, 1);
  });
});
