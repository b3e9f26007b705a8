import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Hono } from 'hono';
import type { OriginBindings } from '../../lib/http/request.ts';
import { digestOf } from '../../lib/model/content-digest.ts';
import { layout } from '../../lib/model/layout.ts';
import { createLog } from '../../lib/model/log.ts';
import { MEDIA_TYPES } from '../../lib/model/manifest.ts';
import { hexOf, parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { openPages } from '../../lib/server/open-pages.ts';
import { type OpenRegistry, openRegistry } from '../../lib/server/open-registry.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { htpasswdOf } from '../auth/test-auth.ts';
import { loadKeys } from '../config/load-text.ts';
import { hiddenFields, tokenOf } from '../ui/browser.ts';

const HOST = 'registry.example.com';

describe('the pages without the APIs', () => {
  const log = createLog('critical');
  let directory: string;
  let keys: Record<string, unknown>;
  let opened: OpenRegistry;
  let app: Hono;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-pages-'));
    const htpasswd = join(directory, 'htpasswd');
    await writeFile(htpasswd, await htpasswdOf(['alice']));
    keys = {
      storage_path: join(directory, 'data'),
      secret_key: 'a secret of the tests',
      public_url: `https://${HOST}`,
      auth: { htpasswd },
      access: [
        { repositories: ['public/*'], users: ['anonymous'], actions: ['pull'] },
        { repositories: ['*'], users: ['alice'], actions: ['pull', 'push', 'delete'] },
      ],
    };
    const { config } = loadKeys(keys);
    opened = await openRegistry(config, { log });
    app = await openPages(config, opened, { log });
  });
  after(async () => {
    await opened.storage.close();
    await rm(directory, { recursive: true });
  });

  const at = (origin: string): OriginBindings => ({
    reached: () => ({ origin, authority: new URL(origin).host, isCertain: true }),
  });
  const get = async (path: string, origin = 'https://abc.example') =>
    await app.fetch(new Request(origin + path), at(origin));

  it('answer no path of an API', async () => {
    for (const path of ['/v2/', '/v2/_catalog', '/v1/_ping', '/readyz', '/nothing']) {
      assert.equal((await get(path)).status, 404, path);
    }
    assert.equal((await get('/nothing')).headers.get('X-Content-Type-Options'), 'nosniff');
  });

  it('are where the root leads', async () => {
    const { status, headers } = await get('/');
    assert.deepEqual([status, headers.get('Location')], [302, '/ui/']);
    assert.equal((await get('/ui/')).status, 200);
  });

  it('name the host of the registry in commands, not that of the pages', async () => {
    const text = await (await get('/ui/')).text();
    assert.ok(text.includes(`docker push ${HOST}/`), text);
    assert.ok(!text.includes('abc.example/'), text);
  });

  for (const [origin, sent, status] of [
    ['https://abc.example', 'https://abc.example', 303],
    [`https://${HOST}`, `https://${HOST}`, 303],
    ['https://abc.example', `https://${HOST}`, 403],
    [`https://${HOST}`, 'https://abc.example', 403],
  ] as const) {
    it(`at ${origin} take a login of a page of ${sent} with ${status}`, async () => {
      const form = await get('/ui/login', origin);
      const cookie = form.headers.getSetCookie()[0] ?? '';
      assert.match(cookie, /^__Host-stowage=.*; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
      const [, token = ''] = /name="token" value="([^"]+)"/.exec(await form.text()) ?? [];
      const request = new Request(`${origin}/ui/login`, {
        method: 'POST',
        headers: { Origin: sent, Cookie: cookie.split(';')[0] ?? '' },
        body: new URLSearchParams({ token, name: 'alice', password: 'alice-password' }),
      });
      assert.equal((await app.fetch(request, at(origin))).status, status);
    });
  }

  it('show what a form has changed in another process', async () => {
    const { config } = loadKeys(keys);
    const other = await openPages(config, await openRegistry(config, { log, driver: opened.storage }), { log });
    const repository = parseRepositoryName('team/app');
    const bytes = encodeText(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [] }));
    const digest = digestOf(bytes);
    await opened.storage.put(layout.manifest(repository, digest), bytes);
    for (const tag of ['stays', 'goes']) {
      await opened.storage.put(layout.tag(repository, parseTag(tag)), encodeText(hexOf(digest)));
    }
    const origin = 'https://abc.example';
    let cookie = '';
    const send = async (at: Hono, path: string, fields?: [string, string][]) => {
      const { text, cookie: next, location } = await visit(at, origin + path, { cookie, ...(fields && { fields }) });
      cookie = next;
      return { text, location };
    };
    const form = await send(app, '/ui/login');
    await send(app, '/ui/login', [...hiddenFields(form.text), ['name', 'alice'], ['password', 'alice-password']]);
    const page = await send(app, '/ui/r/team/app');
    const tagged = /ui\/r\/team\/app:goes"/;
    assert.match(page.text, tagged);
    const { location } = await send(other, '/ui/delete/confirmed', [
      ['token', tokenOf(page.text)],
      ['repository', repository],
      ['tag', 'goes'],
      ['planned', `${digest} goes`],
    ]);
    const { text } = await send(app, location);
    assert.match(text, /1 tag deleted/);
    assert.doesNotMatch(text, tagged);
  });

  async function visit(at: Hono, url: string, { cookie, fields }: { cookie: string; fields?: [string, string][] }) {
    const { origin, host } = new URL(url);
    const request = new Request(url, {
      headers: { Origin: origin, Cookie: cookie },
      ...(fields && { method: 'POST', body: new URLSearchParams(fields) }),
    });
    const response = await at.fetch(request, { reached: () => ({ origin, authority: host, isCertain: true }) });
    const [line] = response.headers.getSetCookie();
    const location = response.headers.get('Location') ?? '';
    return { text: await response.text(), cookie: line?.split(';')[0] ?? cookie, location };
  }

  for (const [title, change, message] of [
    ['that are turned off', { pages: 'off' }, /pages: off/],
    ['without a secret that other processes know', { secret_key: undefined }, /secret_key/],
    ['whose access an index elsewhere decides', { standalone: false, auth: undefined, access: undefined }, /index/],
  ] as const) {
    it(`do not start ${title}`, async () => {
      const given = Object.entries({ ...keys, ...change }).filter(([, value]) => value !== undefined);
      const { config } = loadKeys(Object.fromEntries(given));
      await assert.rejects(openPages(config, opened, { log }), message);
    });
  }
});
