import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { ObjectSource } from '../../../lib/auth/passwords/object-source.ts';
import { MAX_TEXT_BYTES, MissingTextError } from '../../../lib/auth/passwords/text-source.ts';
import { Users } from '../../../lib/auth/passwords/users.ts';
import { createLog } from '../../../lib/model/log.ts';

describe('users in an object of S3', () => {
  let server: Server;
  let answer: { status: number; headers?: Record<string, string>; body?: string };
  const asked: { url: string | undefined; ifNoneMatch: string | undefined }[] = [];
  before(async () => {
    server = createServer(({ url, headers }, response) => {
      asked.push({ url, ifNoneMatch: headers['if-none-match'] });
      response.writeHead(answer.status, answer.headers).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const sourceIn = (bucket: string) =>
    new ObjectSource(bucket, 'users', {
      bucket: 'own',
      keyPrefix: '',
      region: 'eu-west-1',
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    });

  it('are read with their version, from the own bucket and from another one', async () => {
    answer = { status: 200, headers: { ETag: '"1"', 'Content-Length': '7' }, body: 'alice:x' };
    for (const bucket of ['own', 'other']) {
      assert.deepEqual(await sourceIn(bucket).read(), { text: 'alice:x', version: '"1"' });
      assert.match(asked.at(-1)?.url ?? '', new RegExp(`^/${bucket}/users`));
    }
  });

  it('are not read again while the version is the same', async () => {
    answer = { status: 304 };
    assert.equal(await sourceIn('own').read('"1"'), undefined);
    assert.equal(asked.at(-1)?.ifNoneMatch, '"1"');
  });

  it('that are missing, have no version or are too long are an error', async () => {
    answer = { status: 404, body: '<Error><Code>NoSuchKey</Code></Error>' };
    await assert.rejects(sourceIn('own').read(), (error: Error) => {
      assert.ok(error instanceof MissingTextError && (error.cause as Error).name === 'NoSuchKey');
      assert.match(error.message, /^s3:\/\/own\/users is not there: .*`stowage user add NAME`/);
      return true;
    });
    await assert.rejects(
      Users.open(sourceIn('own'), createLog('critical')),
      /^Error: auth\.htpasswd s3:\/\/own\/users is/,
    );
    answer = { status: 200, body: 'alice:x' };
    await assert.rejects(sourceIn('own').read(), /has no content/);
    const body = 'x'.repeat(MAX_TEXT_BYTES + 1);
    for (const length of [{}, { 'Content-Length': String(body.length) }]) {
      answer = { status: 200, headers: { ETag: '"1"', ...length }, body };
      await assert.rejects(sourceIn('own').read(), /has more than/);
    }
  });
});
