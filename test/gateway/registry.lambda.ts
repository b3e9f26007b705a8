// What clients see of the built stack behind the gateway, request by request.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { HeadObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import type { KeyPrefix } from '../../lib/model/layout.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { KiB, MiB } from '../../lib/streams/bytes.ts';
import { KMS_KEY } from '../support/minio.ts';
import { V1Client } from '../support/v1-client.ts';
import { TOP_ID, ubuntuChain } from '../v1/chain.ts';
import { newImage } from '../v1/use-registry.ts';
import { codesOf, digestOf, locationOf, V2Client, withDigest } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { AUTHORIZER_FAILURES } from './authorization.ts';
import { BASIC, type Deployment, deploy, PASSWORD, SESSION_SECRET, USER } from './deployment.ts';
import { fetchFrom } from './fetch-from.ts';
import { startGateway } from './gateway.ts';
import { ACCOUNT, REGION } from './template.ts';

const OTHER_HOST = 'https://registry.example.com';

describe('a private registry behind the gateway', () => {
  let deployment: Deployment;
  let client: V2Client;
  let anybody: V2Client;

  before(async () => {
    deployment = await deploy({ parameters: { PushEndpoint: 'none' } });
    client = new V2Client(deployment.gateway.url, { Authorization: `Basic ${BASIC}` });
    anybody = new V2Client(deployment.gateway.url);
  });
  after(() => deployment?.stop());

  for (const path of ['/v2/', '/v2', '/v2/a/manifests/b', '/v1/repositories/a/images', '/v1/users/']) {
    it(`answers ${path} without a login with a challenge, without a call of a function`, async () => {
      const calls = deployment.gateway.authorizerCalls();
      const response = await anybody.send('GET', path);
      assert.equal(response.status, 401);
      assert.equal(response.headers.get('WWW-Authenticate'), 'Basic realm="Stowage"');
      assert.equal(response.headers.get('Docker-Distribution-Api-Version'), 'registry/2.0');
      assert.equal(response.headers.get('x-amzn-remapped-www-authenticate'), null);
      const body = (await response.json()) as { error: string; errors: { code: string }[] };
      assert.equal(typeof body.error, 'string');
      assert.equal(body.errors[0]?.code, 'UNAUTHORIZED');
      assert.equal(deployment.gateway.authorizerCalls(), calls);
    });
  }

  it('refuses a wrong password with the same challenge', async () => {
    const headers = { Authorization: `Basic ${Buffer.from('alice:wrong').toString('base64')}` };
    const response = await anybody.send('GET', '/v2/', { headers });
    assert.equal(response.status, 401);
    assert.equal(response.headers.get('WWW-Authenticate'), 'Basic realm="Stowage"');
  });

  for (const [index, authorizerFailure] of AUTHORIZER_FAILURES.entries()) {
    it(`throttles a client that guesses passwords, if that is ${authorizerFailure}, and no client at another address`, async (t) => {
      const { stack, functions } = deployment;
      const gateway = await startGateway(stack, { functions, authorizerFailure });
      t.after(() => gateway.stop());
      const refused = await guessPasswords(
        (password) => login(gateway.url, `127.2.${index}.1`, password),
        (password) => login(gateway.url, `127.2.${index}.2`, password),
      );
      assert.equal(refused.status, 503); // not 429: all that an authorizer can say beside 401 is that it has failed
      assert.equal(refused.headers.get('Retry-After'), '5');
      assert.deepEqual(await codesOf(refused), ['UNAVAILABLE']);
    });
  }

  it('writes an audit entry with name and address for a refused login', async () => {
    const authorizer = deployment.functions.get('Authorizer') ?? assert.fail('no Authorizer');
    const ofAttacker = () =>
      authorizer.log
        .split('\n')
        .filter((line) => line.includes('"from":"127.2.0.1"'))
        .map((line) => JSON.parse(line));
    await until(async () => ofAttacker().length >= 11, 'it was not noted');
    const entries = ofAttacker();
    const common = { message: 'audit', who: USER, action: 'login', outcome: 'refused', method: 'GET', path: '/v2/' };
    assert.partialDeepStrictEqual(entries[0], { ...common, status: 401, reason: 'wrong user name or password' });
    assert.partialDeepStrictEqual(entries.at(-1), { ...common, status: 503 });
    assert.match(entries[0].requestId, /./);
    assert.doesNotMatch(authorizer.log, /guess \d/);
  });

  it('asks its authorizer once for many requests, of any method, path and stage', async () => {
    await client.send('GET', '/v2/');
    const calls = deployment.gateway.authorizerCalls();
    for (const [method, path] of [
      ['GET', '/v2/'],
      ['HEAD', '/v2/some/app/manifests/latest'],
      ['POST', '/v2/some/app/blobs/uploads/'],
      ['GET', '/v1/repositories/some/app/images'],
    ] as const) {
      assert.notEqual((await client.send(method, path)).status, 403, `${method} ${path}`);
    }
    assert.equal(deployment.gateway.authorizerCalls(), calls);
  });

  it('answers the ping of v1 without a login', async () => {
    const response = await anybody.send('GET', '/v1/_ping');
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('X-Docker-Registry-Standalone'), 'True');
  });

  it('answers the ping of v2 under the path that Docker asks for', async () => {
    const response = await client.send('GET', '/v2/');
    assert.equal(response.status, 200);
    assert.equal(await response.text(), '{}');
  });

  it('answers unknown paths with an error of their protocol', async () => {
    const response = await client.send('GET', '/v2/nothing/of/the/kind');
    assert.equal(response.status, 404);
    assert.deepEqual(await codesOf(response), ['NAME_UNKNOWN']);
  });

  it('stores an image and returns every byte of it', async () => {
    const { digest, manifest } = await pushImage(client, 'gw/deep/app', 'latest', { contents: ['one', 'two'] });
    for (const reference of ['latest', digest]) {
      const response = await client.send('GET', `/v2/gw/deep/app/manifests/${reference}`);
      assert.equal(response.headers.get('Docker-Content-Digest'), digest);
      assert.equal(digestOf(await response.bytes()), digest);
      assert.match(response.headers.get('Content-Type') ?? '', /manifest\.v1\+json/);
    }
    const put = await client.send('PUT', `/v2/gw/deep/app/manifests/${digest}?tag=a&tag=b`, {
      body: Buffer.from(JSON.stringify(manifest)),
    });
    assert.equal(put.status, 201);
    assert.equal(put.headers.get('OCI-Tag'), 'a, b');
    const tags = await client.send('GET', '/v2/gw/deep/app/tags/list?n=2&last=a');
    assert.deepEqual(await tags.json(), { name: 'gw/deep/app', tags: ['b', 'latest'] });
  });

  it('accepts any bytes without a type, and redirects their download to S3', async () => {
    const bytes = randomBytes(64 * KiB);
    const { digest } = await client.pushBlob('gw/blobs', bytes);
    const get = await client.send('GET', `/v2/gw/blobs/blobs/${digest}`);
    assert.equal(get.status, 307);
    assert.equal(get.headers.get('x-amzn-remapped-content-length'), null);
    const fetched = await fetch(locationOf(get));
    assert.equal(digestOf(await fetched.bytes()), digest);
  });

  it('redirects HEAD of a blob to S3, which answers with its length', async () => {
    const { digest } = await client.pushBlob('gw/blobs', randomBytes(1234));
    const head = await client.send('HEAD', `/v2/gw/blobs/blobs/${digest}`);
    assert.equal(head.status, 307);
    assert.equal(head.headers.get('Docker-Content-Digest'), digest);
    const atS3 = await fetch(locationOf(head), { method: 'HEAD' });
    assert.equal(atS3.status, 200);
    assert.equal(atS3.headers.get('Content-Length'), '1234');
    const missing = await client.send('HEAD', `/v2/gw/blobs/blobs/${digestOf('nothing')}`);
    assert.equal(missing.status, 404);
  });

  it('accepts a large blob in chunks that fit', async () => {
    const chunks = [randomBytes(4 * MiB), randomBytes(4 * MiB), randomBytes(3 * MiB)];
    let location = await client.start('gw/chunks');
    let offset = 0;
    for (const chunk of chunks) {
      const headers = { 'Content-Range': `${offset}-${offset + chunk.length - 1}` };
      const response = await client.send('PATCH', location, { body: new Uint8Array(chunk), headers });
      assert.equal(response.status, 202);
      location = locationOf(response);
      offset += chunk.length;
    }
    const digest = digestOf(Buffer.concat(chunks));
    assert.equal((await client.send('PUT', withDigest(location, digest))).status, 201);
  });

  for (const [title, sizeBytes] of [
    ['that an event still holds', 4.45 * MiB],
    ['that no event holds', 6 * MiB],
  ] as const) {
    it(`refuses a body ${title}, and names the remedy`, async () => {
      const body = new Uint8Array(sizeBytes);
      const response = await client.send('PATCH', await client.start('gw/large'), { body });
      const text = await response.clone().text();
      assert.deepEqual(await codesOf(response), ['UNSUPPORTED']);
      assert.match(text, /in a clone of Stowage run \W*npx stowage serve/);
    });
  }

  it('reads the secret of upload sessions once for each instance', () => {
    const instances = ['RequestHandler', 'Authorizer'].map((id) => deployment.functions.get(id)?.instanceCount ?? 0);
    assert.equal(
      deployment.secrets.reads(SESSION_SECRET),
      instances.reduce((sum, count) => sum + count),
    );
  });
});

describe('behind a push', () => {
  let deployment: Deployment;
  let driver: S3Driver;

  before(async () => {
    deployment = await deploy();
    driver = new S3Driver({ ...deployment.minio.driverOptions, keyPrefix: 'registry/' });
  });
  after(async () => {
    await driver?.close();
    await deployment?.stop();
  });

  const keysBelow = async (prefix: string) =>
    (await Array.fromAsync(driver.list(prefix as KeyPrefix))).map(({ key }) => key as string);

  it('the event of the bucket makes the projection of a tag, and removes it after the deletion', async () => {
    const staying = { Authorization: `Basic ${BASIC}`, 'User-Agent': 'oras/1.3.6' };
    const client = new V2Client(deployment.gateway.url, staying);
    await pushImage(client, 'view/a/b', 'v1.0', { contents: ['one'] });
    const folder = 'repositories/view/a%2Fb/';
    await until(async () => (await keysBelow(folder)).length === 3, 'the projection was not made');
    assert.deepEqual(await keysBelow(folder), [`${folder}_index_images`, `${folder}tag_v1.0`, `${folder}tagv1.0_json`]);
    await client.send('DELETE', '/v2/view/a/b/manifests/v1.0');
    await until(
      async () => !(await keysBelow(folder)).includes(`${folder}tagv1.0_json`),
      'the projection was not removed',
    );
    assert.deepEqual(deployment.events.errors, []);
  });

  it('a projection replaces a v1 image that was pushed under its id, with the rights of the worker', async () => {
    const staying = { Authorization: `Basic ${BASIC}`, 'User-Agent': 'oras/1.3.6' };
    const client = new V2Client(deployment.gateway.url, staying);
    const { digest, manifest } = await pushImage(client, 'view/taken', undefined, { contents: ['taken'] });
    const taker = newImage({ id: digest.slice('sha256:'.length) });
    await new V1Client(deployment.gateway.url, `Basic ${BASIC}`).push('view/taker', [taker], { latest: taker.id });
    assert.equal((await client.pushManifest('view/taken', 'latest', manifest)).status, 201);
    await until(
      async () => (await keysBelow('repositories/view/taken/tag')).length === 2,
      'the projection was not made',
    );
    const json = await client.send('GET', `/v1/images/${taker.id}/json`);
    assert.equal(((await json.json()) as { os: string }).os, 'linux');
    assert.deepEqual(deployment.events.errors, []);
  });

  it('small and large layers in a format that v1 clients cannot read are recompressed for projections', async () => {
    const { gateway, events } = deployment;
    const client = new V2Client(gateway.url, { Authorization: `Basic ${BASIC}` });
    const contents = ['small', randomBytes(5 * MiB).toString('base64')];
    const config = { history: [{ created_by: 'small' }, { created_by: 'large' }] };
    const { tars } = await pushImage(client, 'view/zstd', 'latest', { contents, compression: 'zstd', config });
    await until(
      async () => (await keysBelow('repositories/view/zstd/tag')).length === 2,
      'the projection was not made',
    );
    assert.deepEqual(events.errors, []);
    const pulled = await new V1Client(gateway.url, `Basic ${BASIC}`).pull('view/zstd', 'latest');
    assert.deepEqual(
      pulled.map(({ layer }) => digestOf(gunzipSync(layer))),
      tars.map((bytes) => digestOf(bytes)),
    );
  });

  it('a v1 client pushes layers past the gateway, and pulls them from S3', async () => {
    const { gateway, pushEndpoint } = deployment;
    const v1 = new V1Client(gateway.url, `Basic ${BASIC}`);
    const chain = ubuntuChain();
    const layers = chain.reduce((sum, { layer }) => sum + layer.length, 0);
    gateway.passed.length = 0;
    await v1.push('old/ubuntu', chain, { '14.04': TOP_ID });
    assert.deepEqual(
      gateway.passed.map(({ method, path }) => `${method} ${path}`),
      ['PUT /v1/repositories/old/ubuntu/', 'PUT /v1/repositories/old/ubuntu/images'],
    );
    assert.match(pushEndpoint?.process.logTail(1) ?? '', /"status":200/);
    gateway.passed.length = 0;
    const pulled = await v1.pull('old/ubuntu', '14.04');
    assert.deepEqual(
      pulled.map(({ id, layer }) => ({ id, layer: Buffer.from(layer) })),
      chain.map(({ id, layer }) => ({ id, layer: Buffer.from(layer) })),
    );
    const bytesOut = gateway.passed.reduce((sum, passed) => sum + passed.bytesOut, 0);
    const documents = chain.reduce((sum, { json }) => sum + json.length, 0);
    assert(bytesOut < documents + 4 * KiB && layers > 0, `${bytesOut} bytes came through the gateway`);
    for (const { path, status } of gateway.passed) if (path.endsWith('/layer')) assert.equal(status, 302);
  });

  it('every small object but layers has a type that the console shows in the browser', async () => {
    const { endpoint, credentials, bucket: Bucket } = deployment.minio;
    const s3 = new S3Client({ endpoint, credentials, region: REGION, forcePathStyle: true });
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }));
    const hidden: string[] = [];
    for (const { Key = '', Size = 0 } of Contents) {
      const { ContentType = '' } = await s3.send(new HeadObjectCommand({ Bucket, Key }));
      const isShown = /^(?:application\/(?:[\w.-]+\+)?json|text\/plain)$/.test(ContentType);
      if (Size > 0 && !isShown)
        hidden.push(
          Key.replace(/[0-9a-f]{64}/, '<hex>').replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/, '<uuid>'),
        );
    }
    s3.destroy();
    assert.deepEqual([...new Set(hidden)].toSorted(), [
      'registry/images/<hex>/layer',
      'registry/oci/blobs/sha256/<hex>/copy-<uuid>',
      'registry/oci/data/<uuid>',
    ]);
  });

  it('the push endpoint takes a signed upload without a login, and nothing else', async () => {
    const client = new V2Client(deployment.gateway.url, { Authorization: `Basic ${BASIC}` });
    const location = await client.start('signed/app');
    const bytes = randomBytes(8 * MiB);
    const digest = digestOf(bytes);
    assert.notEqual(new URL(location).host, deployment.gateway.host);
    const put = await fetch(withDigest(location, digest), { method: 'PUT', body: new Uint8Array(bytes) });
    assert.equal(put.status, 201);
    assert.equal(put.headers.get('Location'), `${deployment.gateway.url.origin}/v2/signed/app/blobs/${digest}`);
    const other = location.replace('signed/app', 'other/app');
    assert.equal((await fetch(withDigest(other, digest), { method: 'PUT', body: new Uint8Array(bytes) })).status, 404);
    const pushEndpoint = deployment.pushEndpoint?.url ?? '';
    const start = await fetch(`${pushEndpoint}/v2/signed/app/blobs/uploads/`, { method: 'POST' });
    assert.equal(start.status, 401);
    assert.equal(start.headers.get('WWW-Authenticate'), 'Basic realm="Stowage"');
  });

  it('the push endpoint throttles a client that guesses passwords, and no client at another address', async () => {
    const url = pushEndpointOf(deployment);
    const refused = await guessPasswords(
      // A header that the client sends itself does not change its address.
      (password, guess) => login(url, '127.2.0.1', password, `203.0.113.${guess}`),
      (password) => login(url, '127.2.0.2', password),
    );
    assert.equal(refused.status, 429);
    assert.match(deployment.pushEndpoint?.process.logTail(20) ?? '', /"action":"login".*"from":"127\.2\.0\.1"/);
  });
});

describe('a registry in the root of a bucket that is there already', () => {
  let deployment: Deployment;
  before(async () => {
    deployment = await deploy({ parameters: { PushEndpoint: 'none', BucketIs: 'existing', StoragePath: '' } });
  });
  after(() => deployment?.stop());

  it('has rights there, and makes projections once the owner has added the notification of docs/deploy.md', async () => {
    const client = new V2Client(deployment.gateway.url, { Authorization: `Basic ${BASIC}` });
    await pushImage(client, 'root/app', 'latest', { contents: ['one'], compression: 'zstd' });
    const driver = new S3Driver({ ...deployment.minio.driverOptions, keyPrefix: '' });
    const keys = async () => (await Array.fromAsync(driver.list('' as KeyPrefix))).map(({ key }) => key as string);
    await until(
      async () => (await keys()).includes('repositories/root/app/taglatest_json'),
      'the projection was not made',
    );
    assert.deepEqual(
      new Set((await keys()).map((key) => key.split('/')[0])),
      new Set(['images', 'oci', 'repositories']),
    );
    assert.equal((await client.send('DELETE', '/v2/root/app/manifests/latest')).status, 202);
    await until(
      async () => !(await keys()).includes('repositories/root/app/taglatest_json'),
      'the projection has stayed',
    );
    await driver.close();
    assert.deepEqual(deployment.events.errors, []);
  });
});

describe('a registry in a bucket that is encrypted with a key of its owner', () => {
  let deployment: Deployment;
  before(async () => {
    deployment = await deploy({ parameters: { KmsKeyArn: `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KMS_KEY}` } });
  });
  after(() => deployment?.stop());

  it('returns small and large blobs by URLs of the bucket', async () => {
    const { minio, gateway } = deployment;
    const client = new V2Client(gateway.url, { Authorization: `Basic ${BASIC}` });
    for (const sizeBytes of [1000, 20 * MiB]) {
      const { digest } = await client.pushBlob('kms/app', randomBytes(sizeBytes));
      const url = locationOf(await client.send('GET', `/v2/kms/app/blobs/${digest}`));
      const answer = await fetch(url);
      assert.equal(answer.headers.get('x-amz-server-side-encryption'), 'aws:kms');
      assert.equal(digestOf(await answer.bytes()), digest);
    }
    await pushImage(client, 'kms/app', 'latest', { contents: ['one'], compression: 'zstd' });
    const driver = new S3Driver({ ...minio.driverOptions, keyPrefix: 'registry/' });
    const metadata = () => Array.fromAsync(driver.list('repositories/kms/app/taglatest_json' as KeyPrefix));
    await until(async () => (await metadata()).length > 0, 'the projection was not made');
    await driver.close();
    assert.deepEqual(deployment.events.errors, []);
  });
});

describe('a registry behind CloudFront', () => {
  /** From where CloudFront would ask. */
  const EDGE = '127.3.0.1';
  const EdgeKey = 'abcdefgh12345678';
  let deployment: Deployment;
  before(async () => {
    const parameters = { Edge: 'cloudfront', EdgeKey, RegistryHost: new URL(OTHER_HOST).host };
    deployment = await deploy({ parameters, webFunctionKeys: 'endpoint' });
  });
  after(() => deployment?.stop());

  for (const [title, urlOf, status] of [
    ['its API', ({ gateway }: Deployment) => gateway.url, 503],
    ['its push endpoint', pushEndpointOf, 429],
  ] as const) {
    it(`${title} throttles a client that guesses passwords, and no other client of the same edge`, async () => {
      const url = urlOf(deployment);
      const refused = await guessPasswords(
        (password, guess) => login(url, EDGE, password, `198.51.100.${guess}, 203.0.113.1`, EdgeKey),
        (password) => login(url, EDGE, password, '203.0.113.2', EdgeKey),
      );
      assert.equal(refused.status, status);
    });

    it(`${title} trusts no X-Forwarded-For of a request that did not pass CloudFront`, async () => {
      const url = urlOf(deployment);
      const refused = await guessPasswords(
        (password, guess) => login(url, '127.3.0.2', password, `198.51.100.${guess}`, 'a guess'),
        (password) => login(url, '127.3.0.3', password),
      );
      assert.equal(refused.status, status);
    });
  }

  it('keeps uploads on its own host, which forwards them to the push endpoint', async () => {
    const client = new V2Client(deployment.gateway.url, { Authorization: `Basic ${BASIC}` });
    assert.match(await client.start('edge/app'), /^https:\/\/registry\.example\.com\/v2\/edge\/app\/blobs\/uploads\//);
    const pushing = new V2Client(pushEndpointOf(deployment), { Authorization: `Basic ${BASIC}` });
    const { digest, response } = await pushing.pushBlob('edge/app', randomBytes(8 * MiB));
    assert.equal(response.status, 201);
    assert.equal((await client.send('HEAD', `/v2/edge/app/blobs/${digest}`)).status, 307);
  });
});

describe('a registry with anonymous pull behind the gateway', () => {
  let deployment: Deployment;
  before(async () => {
    const RegistryHost = new URL(OTHER_HOST).host;
    deployment = await deploy({ parameters: { PushEndpoint: 'none', Access: 'anonymous-pull', RegistryHost } });
  });
  after(() => deployment?.stop());

  it('names the token endpoint, and asks its authorizer on each request', async () => {
    const anybody = new V2Client(deployment.gateway.url);
    for (const calls of [1, 2]) {
      const response = await anybody.send('GET', '/v2/');
      assert.equal(response.status, 401);
      assert.equal(
        response.headers.get('WWW-Authenticate'),
        `Bearer realm="${OTHER_HOST}/v2/_token",service="registry.example.com"`,
      );
      assert.equal(deployment.gateway.authorizerCalls(), calls);
    }
  });

  it('gives a client without a login a token for pull, and for no other action', async () => {
    const owner = new V2Client(deployment.gateway.url, { Authorization: `Basic ${BASIC}` });
    const { digest } = await pushImage(owner, 'open/app', 'latest', { contents: ['x'] });
    const anybody = new V2Client(deployment.gateway.url);
    const scope = 'repository:open/app:pull,push';
    const answer = await anybody.send(
      'GET',
      `/v2/_token?${new URLSearchParams({ service: 'registry.example.com', scope })}`,
    );
    assert.equal(answer.status, 200);
    const { token } = (await answer.json()) as { token: string };
    const bearer = new V2Client(deployment.gateway.url, { Authorization: `Bearer ${token}` });
    const pulled = await bearer.send('GET', '/v2/open/app/manifests/latest');
    assert.equal(pulled.headers.get('Docker-Content-Digest'), digest);
    const pushed = await bearer.send('POST', '/v2/open/app/blobs/uploads/');
    assert([401, 403].includes(pushed.status), `${pushed.status}`);
    const wrong = await anybody.send('GET', '/v2/', { headers: { Authorization: 'Bearer x.y.z' } });
    assert.equal(wrong.status, 401);
    assert.match(wrong.headers.get('WWW-Authenticate') ?? '', /^Bearer realm=/);
  });

  it('accepts a user with a password', async () => {
    const client = new V2Client(deployment.gateway.url, { Authorization: `Basic ${BASIC}` });
    assert.equal((await client.send('GET', '/v2/')).status, 200);
  });

  it('names an accepted blob or manifest by the host that clients know', async () => {
    const client = new V2Client(deployment.gateway.url, { Authorization: `Basic ${BASIC}` });
    const { digest, response } = await client.pushBlob('host/app', Buffer.from('bytes'));
    assert.equal(locationOf(response), `${OTHER_HOST}/v2/host/app/blobs/${digest}`);
  });
});

function pushEndpointOf({ pushEndpoint }: Deployment): URL {
  return new URL((pushEndpoint?.url ?? assert.fail('there is no push endpoint')).replace('localhost', '127.0.0.1'));
}

/** @param forwardedFor what a hop before, or the client itself, says of where it comes from */
async function login(
  url: URL,
  localAddress: string,
  password: string,
  forwardedFor?: string,
  edgeKey?: string,
): Promise<Response> {
  const Authorization = `Basic ${Buffer.from(`${USER}:${password}`).toString('base64')}`;
  const headers = {
    Authorization,
    ...(forwardedFor !== undefined && { 'X-Forwarded-For': forwardedFor }),
    ...(edgeKey !== undefined && { 'X-Stowage-Edge': edgeKey }),
  };
  return await fetchFrom(new URL('/v2/', url), { localAddress, method: 'GET', headers });
}

type Login = (password: string, guess: number) => Promise<Response>;

/** Guesses passwords until a guess is throttled, which must not affect other clients. @returns the answer to the last guess */
async function guessPasswords(attacker: Login, somebodyElse: Login): Promise<Response> {
  for (let guess = 0; guess < 10; guess++) assert.equal((await attacker(`guess ${guess}`, guess)).status, 401);
  const refused = await attacker('another guess', 10);
  assert.equal((await somebodyElse('a guess', 0)).status, 401);
  assert.equal((await somebodyElse(PASSWORD, 0)).status, 200);
  return refused;
}

async function until(holds: () => Promise<boolean>, otherwise: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    if (Date.now() > deadline) assert.fail(otherwise);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
