// `Location` of uploads and of their results: absolute where the registry is certain of its origin.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { GatewaySettings } from '../../lib/http/gateway-quirks.ts';
import { loadKeys } from '../config/load-text.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { startRegistry } from '../support/registry-server.ts';
import { type Answer, send } from '../v1/send.ts';
import { digestOf, withDigest } from './client.ts';

const BYTES = Buffer.from('some bytes');
const DIGEST = digestOf(BYTES);
const FORWARDED = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'registry.example', 'X-Forwarded-Port': '8443' };

type Row = {
  title: string;
  settings?: Partial<GatewaySettings>;
  trustedProxies?: number;
  headers?: Record<string, string>;
  /** Origins of the results and of the uploads; `here` is the address of the test server. */
  registry: string;
  uploads?: string;
};

const ROWS: Row[] = [
  { title: 'a direct connection', registry: 'here' },
  { title: 'a host name, which a proxy may resolve', headers: { Host: 'registry.example' }, registry: '' },
  { title: 'an untrusted proxy', headers: FORWARDED, registry: '' },
  { title: 'a trusted proxy', trustedProxies: 1, headers: FORWARDED, registry: 'https://registry.example:8443' },
  { title: 'public_url', settings: { publicUrl: 'https://public.example' }, registry: 'https://public.example' },
  {
    title: 'public_url and a client that stays on its host',
    settings: { publicUrl: 'https://public.example' },
    headers: { 'User-Agent': 'oras/1.3.6' },
    registry: '',
  },
  {
    title: 'a push endpoint',
    settings: { pushEndpoint: 'https://push.example' },
    registry: 'here',
    uploads: 'https://push.example',
  },
  {
    title: 'a push endpoint and a host name, which a proxy may resolve',
    settings: { pushEndpoint: 'https://push.example' },
    headers: { Host: 'registry.example' },
    registry: 'http://registry.example',
    uploads: 'https://push.example',
  },
  {
    title: 'ollama, which resolves no relative URL, by any host name',
    headers: { Host: 'registry.example', 'User-Agent': 'ollama/0.14.0 (amd64 linux) Go/go1.26.0' },
    registry: 'http://registry.example',
  },
  { title: 'absolute_locations: never', settings: { absoluteLocations: 'never' }, registry: '' },
  {
    title: 'absolute_locations: never, and public_url',
    settings: { absoluteLocations: 'never', publicUrl: 'https://public.example' },
    registry: '',
  },
  {
    title: 'absolute_locations: always',
    settings: { absoluteLocations: 'always' },
    headers: { Host: 'registry.example' },
    registry: 'http://registry.example',
  },
];

describe('a Location', () => {
  let storage: OpenedStorage;
  before(async () => {
    storage = await openFiles();
  });
  after(() => storage.close());

  for (const { title, settings = {}, trustedProxies = 0, headers = {}, ...expected } of ROWS) {
    it(`${expected.registry === '' ? 'is relative' : 'is absolute'} for ${title}`, async () => {
      const server = await startRegistry(storage.driver, { ...settings, trustedProxies });
      const registry = expected.registry === 'here' ? server.url.origin : expected.registry;
      const uploads = expected.uploads ?? registry;
      const host = { Host: server.url.host };
      const ask = async (method: string, location: string, body?: Uint8Array) => {
        const { pathname, search } = new URL(location, server.url);
        return await send(server.url, method, pathname + search, {
          headers: { ...host, ...headers },
          ...(body && { body }),
        });
      };
      const follow = (answer: Answer, status: number): string => {
        assert.equal(answer.status, status, answer.text);
        const location = answer.header('Location') ?? assert.fail('no Location');
        assert.ok(location.startsWith(`${uploads}/v2/locations/app/blobs/uploads/`), location);
        return location;
      };
      const started = follow(await ask('POST', '/v2/locations/app/blobs/uploads/'), 202);
      const patched = follow(await ask('PATCH', started, BYTES), 202);
      const read = follow(await ask('GET', patched), 204);
      const put = await ask('PUT', withDigest(read, DIGEST));
      assert.equal(put.header('Location'), `${registry}/v2/locations/app/blobs/${DIGEST}`);

      const mounted = await ask('POST', `/v2/locations/app/blobs/uploads/?mount=${DIGEST}&from=locations/app`);
      assert.equal(mounted.status, 201);
      const posted = await ask('POST', `/v2/locations/app/blobs/uploads/?digest=${DIGEST}`, BYTES);
      assert.equal(posted.status, 201);
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [] }));
      const manifest = await ask('PUT', '/v2/locations/app/manifests/latest', index);
      assert.equal(manifest.status, 201);
      // These end on the host that the client already uses.
      const here = expected.uploads && expected.registry !== 'here' ? '' : registry;
      assert.equal(mounted.header('Location'), `${here}/v2/locations/app/blobs/${DIGEST}`);
      assert.equal(posted.header('Location'), `${here}/v2/locations/app/blobs/${DIGEST}`);
      assert.equal(manifest.header('Location'), `${here}/v2/locations/app/manifests/${digestOf(index)}`);
      await server.stop();
    });
  }

  it('follows the key absolute_locations', () => {
    assert.equal(loadKeys({}).config.absoluteLocations, 'auto');
    assert.equal(loadKeys({ absolute_locations: 'never' }).config.absoluteLocations, 'never');
  });
});
