import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { KiB } from '../../lib/streams/bytes.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { codesOf, locationOf, V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';

describe('a registry behind a gateway', () => {
  const settings = {
    publicUrl: 'https://registry.example.com',
    pushEndpoint: 'https://push.example.com',
    maxBodyBytes: 4 * KiB,
    forwardsHeadContentLength: false,
  };
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  let sameHostClient: V2Client;

  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver, settings);
    client = new V2Client(server.url);
    sameHostClient = new V2Client(server.url, { 'User-Agent': 'oras-go' });
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const startAs = async (userAgent: string) =>
    locationOf(await client.send('POST', '/v2/gateway/app/blobs/uploads/', { headers: { 'User-Agent': userAgent } }));

  it('sends uploads to the push endpoint, which needs no credentials', async () => {
    const location = await startAs('docker/29.0.0 go/go1.26');
    assert.match(location, /^https:\/\/push\.example\.com\/v2\/gateway\/app\/blobs\/uploads\/[0-9a-f-]+\?_state=/);
    const { pathname, search } = new URL(location);
    const response = await client.send('PATCH', pathname + search, { body: 'bytes' });
    assert.equal(response.status, 202);
    assert.match(locationOf(response), /^https:\/\/push\.example\.com\/v2\//); // the next request goes to the push endpoint too
  });

  for (const userAgent of ['oras/1.3.6', 'oras-go', 'Helm/3.19.0', 'notation/1.3.0']) {
    it(`keeps ${userAgent} on its host`, async () => {
      assert.match(await startAs(userAgent), /^\/v2\/gateway\/app\/blobs\/uploads\//);
    });
  }

  it('uses the public URL in the Location of blobs and manifests', async () => {
    const { digest, manifest } = await pushImage(sameHostClient, 'gateway/app', 'first', { contents: ['x'] });
    const put = await client.pushManifest('gateway/app', 'second', manifest);
    assert.equal(locationOf(put), `${settings.publicUrl}/v2/gateway/app/manifests/${digest}`);
  });

  it('omits the digest in the answer to HEAD of a manifest, so that clients send a GET', async () => {
    const head = await client.send('HEAD', '/v2/gateway/app/manifests/second');
    assert.equal(head.status, 200);
    assert.equal(head.headers.get('Docker-Content-Digest'), null);
    const get = await client.send('GET', '/v2/gateway/app/manifests/second');
    assert.match(get.headers.get('Docker-Content-Digest') ?? '', /^sha256:/);
  });

  it('refuses a body that is too large with UNSUPPORTED and advice', async () => {
    const location = new URL(await startAs('docker/29.0.0'));
    const response = await client.send('PATCH', location.pathname + location.search, { body: 'x'.repeat(4 * KiB + 1) });
    assert.equal(response.status, 405);
    const text = await response.clone().text();
    assert.deepEqual(await codesOf(response), ['UNSUPPORTED']);
    assert.match(text, /push endpoint/);
    assert.match(text, /in a clone of Stowage run \W*npx stowage serve/);
  });

  it('sends v1 clients to the push endpoint for a push and to the public URL for a pull', async () => {
    const announced = await client.send('PUT', '/v1/repositories/gateway/old/', { body: '[]' });
    assert.equal(announced.headers.get('X-Docker-Endpoints'), 'push.example.com');
    const images = await client.send('GET', '/v1/repositories/gateway/old/images');
    assert.equal(images.headers.get('X-Docker-Endpoints'), 'registry.example.com');
  });
});

describe('a registry behind a trusted proxy', () => {
  it('sends v1 clients the host of X-Forwarded-Host as it was written', async () => {
    const storage = await openFiles();
    const server = await startRegistry(storage.driver, { trustedProxies: 1 });
    const headers = {
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'Registry.example',
      'X-Forwarded-Port': '8443',
    };
    const announced = await new V2Client(server.url, headers).send('PUT', '/v1/repositories/a/b/', { body: '[]' });
    assert.equal(announced.headers.get('X-Docker-Endpoints'), 'Registry.example:8443');
    await server.stop();
    await storage.close();
  });
});
