// What a server does with its configuration, in this process.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createLog } from '../../lib/model/log.ts';
import { type ServeOptions, serve } from '../../lib/server/serve.ts';
import { htpasswdOf } from '../auth/test-auth.ts';
import { loadKeys } from '../config/load-text.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';

const fixture = (name: string) => join(import.meta.dirname, '../fixtures', name);

describe('a server', () => {
  let directory: string;
  let count = 0;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'serve-'));
    await writeFile(join(directory, 'users'), await htpasswdOf(['alice']));
  });
  after(() => rm(directory, { recursive: true }));

  /** Serves this configuration while the test runs. */
  async function serving(
    keys: Record<string, unknown>,
    use: (url: URL, lines: string[]) => Promise<void>,
    options: Partial<ServeOptions> & { host?: string } = {},
  ): Promise<void> {
    const { host = '127.0.0.1', ...more } = options;
    const { config } = loadKeys({ storage_path: join(directory, `data${count++}`), ...keys });
    const lines: string[] = [];
    const log = createLog('info', (line) => lines.push(line) > 0);
    const server = await serve({ ...config, host, port: 0 }, { log, version: '0', ...more });
    try {
      await use(server.url, lines);
    } finally {
      server.kill();
      await server.stop();
    }
  }

  it('keeps what was pushed for the next one on the same directory', async () => {
    const path = join(directory, 'kept');
    await serving({ storage_path: path }, async (url) => {
      await pushImage(new V2Client(url), 'team/app', '1', { contents: ['kept'] });
    });
    await serving({ storage_path: path, gc: 'off', pages: 'off' }, async (url) => {
      assert.equal((await fetch(new URL('/v2/team/app/manifests/1', url))).status, 200);
    });
  });

  it('serves pages to browsers, unless they are off or an index elsewhere decides access', async () => {
    const statusOf = async (keys: Record<string, unknown>) => {
      let status = 0;
      await serving(keys, async (url) => {
        const { headers } = await fetch(url, { headers: { Accept: 'text/html' }, redirect: 'manual' });
        assert.equal(
          headers.get('Location'),
          keys.pages === undefined && keys.standalone === undefined ? '/ui/' : null,
        );
        status = (await fetch(new URL('/ui/', url))).status;
      });
      return status;
    };
    assert.equal(await statusOf({}), 200);
    assert.equal(await statusOf({ pages: 'off' }), 404);
    assert.equal(await statusOf({ pages: { enabled: false } }), 404);
    assert.equal(await statusOf({ standalone: false, index_endpoint: 'http://127.0.0.1:9' }), 404);
  });

  it('takes passwords of the pages over plain HTTP from other machines only where that is configured', async () => {
    for (const [pages, isRefused] of [
      [{}, true],
      [{ insecure_login: true }, false],
    ] as const) {
      const keys = { auth: { htpasswd: join(directory, 'users') }, trusted_proxies: 1, pages };
      await serving(keys, async (url) => {
        const response = await fetch(new URL('/ui/login', url), {
          headers: { 'X-Forwarded-Host': 'registry.example' },
        });
        assert.equal(/role="alert"/.test(await response.text()), isRefused);
      });
    }
  });

  it('warns of an open registry that other machines reach', async () => {
    const warned = async (keys: Record<string, unknown>, host: string) => {
      const logged: string[] = [];
      await serving(keys, async (_, lines) => void logged.push(...lines), { host });
      return logged.some((line) => line.includes('there is no auth'));
    };
    assert.equal(await warned({}, '0.0.0.0'), true);
    assert.equal(await warned({}, '127.0.0.1'), false);
    assert.equal(await warned({ auth: { htpasswd: join(directory, 'users') } }, '0.0.0.0'), false);
  });

  it('counts and collects by its schedules, and not without background work', async () => {
    const quotas = [{ repositories: ['*'], bytes: '1GB' }];
    await serving({ quotas, gc: { every: '1h' } }, async (url) => {
      const gc = (await (await fetch(new URL('/v2/_stowage/gc', url))).json()) as object;
      assert.ok('nextAt' in gc, JSON.stringify(gc));
      assert.equal((await fetch(new URL('/v2/_stowage/gc', url), { method: 'POST' })).status, 202);
    });
    const options = { runsBackgroundWork: false };
    await serving(
      { quotas },
      async (url) => {
        assert.equal((await fetch(new URL('/v2/_stowage/gc', url), { method: 'POST' })).ok, false);
      },
      options,
    );
  });

  it('answers 503 in the form of each protocol while its directory is lost, and as before once that is back', async () => {
    const path = join(directory, 'mounted');
    await serving({ storage_path: path }, async (url, lines) => {
      const { digest, manifest } = await pushImage(new V2Client(url), 'team/app', '1', { contents: ['mounted'] });
      const { config } = manifest as { config: { digest: string } };
      const headers = { Accept: 'text/html', 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' };
      const requests = [
        ['GET', '/v2/team/app/manifests/1', 'v2'],
        ['GET', `/v2/team/app/manifests/${digest}`, 'v2'],
        ['GET', `/v2/team/app/blobs/${config.digest}`, 'v2'],
        ['GET', '/v2/team/app/tags/list', 'v2'],
        ['GET', '/v2/_catalog', 'v2'],
        ['PUT', '/v2/team/app/manifests/2', 'v2'],
        ['DELETE', '/v2/team/app/manifests/1', 'v2'],
        ['POST', `/v2/team/app/blobs/uploads/?digest=sha256:${createHash('sha256').update('x').digest('hex')}`, 'v2'],
        ['GET', '/v1/repositories/team/app/tags', 'v1'],
        ['PUT', `/v1/images/${'a'.repeat(64)}/json`, 'v1'],
        ['GET', '/ui/', 'page'],
        ['GET', '/ui/r/team/app', 'page'],
      ] as const;
      const send = async ([method, at]: readonly [string, string, string]) => {
        const body = {
          PUT: at.startsWith('/v1') ? JSON.stringify({ id: 'a'.repeat(64) }) : JSON.stringify(manifest),
          POST: 'x',
        }[method];
        return await fetch(new URL(at, url), { method, headers, ...(body && { body }) });
      };
      const before = (await send(['GET', '/ui/r/team/app', 'page'])).status;
      assert.equal(before, 200);
      await rename(path, `${path}-aside`);
      await mkdir(path);
      for (const request of requests) {
        const response = await send(request);
        const text = await response.text();
        assert.equal(response.status, 503, `${request.join(' ')}: ${text}`);
        if (request[2] === 'page') assert.match(text, /^<!DOCTYPE html>/i);
        else {
          const parsed = JSON.parse(text) as { error?: string; errors?: { code: string }[] };
          if (request[2] === 'v1') assert.ok(parsed.error, text);
          else assert.equal(parsed.errors?.[0]?.code, 'UNAVAILABLE', text);
        }
      }
      assert.ok(
        lines.some((line) => line.includes('has no .tmp')),
        'the log says why',
      );
      await rm(path, { recursive: true });
      await rename(`${path}-aside`, path);
      assert.equal((await send(['GET', '/v2/team/app/manifests/1', 'v2'])).status, 200);
    });
  });

  it('serves HTTPS with a certificate, and refuses to start with files that are none', async () => {
    const tlsFiles = { cert: fixture('localhost-cert.pem'), key: fixture('localhost-key.pem') };
    await serving(
      {},
      async (url) => {
        assert.equal(url.protocol, 'https:');
        const ca = await readFile(tlsFiles.cert);
        const status = await new Promise((resolve, reject) => {
          const options = { host: '127.0.0.1', port: url.port, path: '/v2/', ca, servername: 'localhost' };
          request(options, ({ statusCode }) => resolve(statusCode))
            .on('error', reject)
            .end();
        });
        assert.equal(status, 200);
      },
      { tlsFiles },
    );
    const wrong = { cert: tlsFiles.key, key: tlsFiles.cert };
    await assert.rejects(
      serving({}, async () => undefined, { tlsFiles: wrong }),
      /must be a certificate and its key/,
    );
    const none = { cert: fixture('none.pem'), key: tlsFiles.key };
    await assert.rejects(
      serving({}, async () => undefined, { tlsFiles: none }),
      /must be a certificate and its key/,
    );
  });
});
