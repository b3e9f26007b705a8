import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SecretSource } from '../../../lib/auth/passwords/secret-source.ts';
import { FileSource, MissingTextError } from '../../../lib/auth/passwords/text-source.ts';
import { hasCode } from '../../../lib/model/has-code.ts';

describe('a text in a file', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-auth-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  it('is read again only after it was written or replaced', async () => {
    const path = join(directory, 'htpasswd');
    await writeFile(path, 'one');
    const source = new FileSource(path);
    const first = await source.read();
    assert.equal(first?.text, 'one');
    assert.equal(await source.read(first?.version), undefined);
    await writeFile(path, 'three');
    const second = await source.read(first?.version);
    assert.equal(second?.text, 'three');
    await writeFile(`${path}.new`, 'third');
    await rename(`${path}.new`, path);
    assert.equal((await source.read(second?.version))?.text, 'third');
  });

  it('is an error if the file is missing', async () => {
    const path = join(directory, 'none');
    await assert.rejects(new FileSource(path).read(), (error: Error) => {
      assert.ok(error instanceof MissingTextError && hasCode(error.cause, 'ENOENT'));
      assert.ok(error.message.startsWith(`${path} is not there: `), error.message);
      return true;
    });
  });
});

describe('a text in Secrets Manager', () => {
  const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:registry/users-AbCdEf';
  const requests: { headers: IncomingHttpHeaders; body: string }[] = [];
  let answer: { status: number; body: object } = { status: 200, body: {} };
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    requests.push({ headers: request.headers, body });
    response
      .writeHead(answer.status, { 'Content-Type': 'application/x-amz-json-1.1' })
      .end(JSON.stringify(answer.body));
  });
  let source: SecretSource;
  before(async () => {
    process.env.AWS_ACCESS_KEY_ID = 'AKIDEXAMPLE';
    process.env.AWS_SECRET_ACCESS_KEY = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    source = new SecretSource(ARN, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  after(() => {
    server.close();
    delete process.env.AWS_ACCESS_KEY_ID;
    delete process.env.AWS_SECRET_ACCESS_KEY;
  });

  it('is read by a signed request, and compared by its version', async () => {
    answer = { status: 200, body: { SecretString: 'alice:…', VersionId: 'v1' } };
    assert.deepEqual(await source.read(), { text: 'alice:…', version: 'v1' });
    assert.equal(await source.read('v1'), undefined);
    const { headers, body } = requests[0] ?? assert.fail('no request');
    assert.deepEqual(JSON.parse(body), { SecretId: ARN });
    assert.equal(headers['x-amz-target'], 'secretsmanager.GetSecretValue');
    assert.match(
      headers.authorization ?? '',
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/secretsmanager\/aws4_request, SignedHeaders=content-length;content-type;host;[a-z0-9;-]*x-amz-target, Signature=[0-9a-f]{64}$/,
    );
  });

  it('is an error without details of the answer if access is denied', async () => {
    answer = { status: 400, body: { __type: 'AccessDeniedException', Message: 'User x is not authorized' } };
    await assert.rejects(source.read(), { message: `Secrets Manager refuses ${ARN}: AccessDeniedException` });
  });

  it('is an error if the secret holds bytes', async () => {
    answer = { status: 200, body: { SecretBinary: 'AAAA', VersionId: 'v1' } };
    await assert.rejects(source.read(), ({ message }: Error) => message.includes(ARN));
  });
});
