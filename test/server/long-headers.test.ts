// Headers, queries and file names of any length and shape: they are read at once, and the rest go on meanwhile.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { CorsConfig } from '../../lib/config/config.ts';
import { basic, openTestAuth } from '../auth/test-auth.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { firstWithin, sendRaw } from '../support/raw-request.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V1Client } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';

/** Beside 1 KB of others the most that the server takes. */
const LONGEST = 31_000;

/** What took longest took 2 s; a busy machine may well need some time for nothing at all. */
const MAX_MS = 500;

/** Runs of what expressions like to try again and again, between what they wait for. */
const FILLINGS = [
  'a',
  ' ',
  '\t',
  ',',
  ', ',
  'a,',
  'a=',
  '=',
  'a:',
  ':',
  '"',
  'a"',
  '/',
  'a/',
  '.',
  '-',
  '0',
  '0-',
  ';',
  'a;',
  '&',
  'a&',
  '%',
  '%20',
];

const HEADERS: [method: string, path: string, header: string, start: string, end: string][] = [
  ['GET', '/v2/', 'Authorization', '', 'x'],
  ['GET', '/v2/', 'Authorization', 'Basic a', 'b'],
  ['GET', '/v2/', 'Authorization', 'Bearer a', 'b'],
  ['GET', '/v1/users', 'Authorization', 'Token a', 'b'],
  ['GET', '/v1/users', 'Authorization', 'Token repository=a', 'b'],
  ['GET', '/v1/users', 'Authorization', 'Token signature=a', 'b'],
  ['GET', '/v1/users', 'X-Forwarded-For', 'a', 'b'],
  ['POST', '/v2/a/b/blobs/uploads/', 'X-Forwarded-Proto', 'https', 'b'],
  ['POST', '/v2/a/b/blobs/uploads/', 'User-Agent', 'a', 'b'],
  ['POST', '/v2/a/b/blobs/uploads/', 'Content-Range', 'bytes 0', 'b'],
  ['GET', '/v2/a/b/tags/list', 'X-Request-Id', 'a', 'b'],
  ['PUT', '/v2/a/b/manifests/x', 'Content-Type', 'a', 'b'],
  ['OPTIONS', '/v2/', 'Access-Control-Request-Headers', 'a', 'b'],
  ['GET', '/v1/images/<image>/layer', 'Range', 'bytes=0', 'b'],
  ['GET', '/v1/images/<image>/layer', 'If-None-Match', 'a', 'b'],
  ['PUT', '/v1/images/<image>/checksum', 'X-Docker-Checksum-Payload', 'a', 'b'],
  ['PUT', '/v1/repositories/a/b/tags/x', 'User-Agent', 'a', 'b'],
];

const QUERIES: [method: string, path: string][] = [
  ['GET', '/v2/_token?scope=repository:a'],
  ['GET', '/v2/_token?x'],
  ['GET', '/v2/_catalog?last=a'],
  ['GET', '/v2/_catalog?n=0'],
  ['GET', '/v2/a/b/tags/list?last=a'],
  ['POST', '/v2/a/b/blobs/uploads/?digest=sha256:a'],
  ['POST', '/v2/a/b/blobs/uploads/?mount=sha256:a'],
  ['PATCH', '/v2/a/b/blobs/uploads/x?_state=a'],
  ['PUT', '/v2/a/b/manifests/x?tag=a'],
  ['GET', '/v1/search?q=a'],
];

describe('what a client sends', () => {
  const image = newImage();
  let storage: OpenedStorage;
  let server: RegistryServer;
  before(async () => {
    storage = await openFiles();
    const auth = await openTestAuth({ users: ['alice'] });
    const cors = { origins: ['*'] } as CorsConfig;
    server = await startRegistry(storage.driver, { auth, cors, hasSearch: true, trustedProxies: 1 });
    await new V1Client(server.url, basic('alice').Authorization).push('a/b', [image], { x: image.id });
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const fill = (filling: string, lengthBytes: number) => filling.repeat(Math.floor(lengthBytes / filling.length));

  for (const [method, path, header, start, end] of HEADERS) {
    it(`${header}: ${start}…${end} of any length is read at once`, async () => {
      for (const filling of FILLINGS) {
        const headers = { ...basic('alice'), [header]: start + fill(filling, LONGEST) + end };
        const target = path.replace('<image>', image.id);
        const body = method === 'PUT' ? `"${image.id}"` : '';
        const send = () => sendRaw(server.url, method, target, headers, body);
        const { status, tookMs } = await firstWithin(MAX_MS, send);
        const shown = `${JSON.stringify(filling)}: ${status} in ${Math.round(tookMs)} ms`;
        assert.ok(status >= 200 && status < 500, shown);
        assert.ok(tookMs < MAX_MS, shown);
      }
    });
  }

  for (const [method, path] of QUERIES) {
    it(`${path}… of any length is read at once`, async () => {
      for (const filling of FILLINGS.filter((text) => !/[\s"]/.test(text))) {
        const send = () => sendRaw(server.url, method, path + fill(filling, LONGEST), basic('alice'));
        const { status, tookMs } = await firstWithin(MAX_MS, send);
        const shown = `${JSON.stringify(filling)}: ${status} in ${Math.round(tookMs)} ms`;
        assert.ok(status >= 200 && status < 500, shown);
        assert.ok(tookMs < MAX_MS, shown);
      }
    });
  }
});
