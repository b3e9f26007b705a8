import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { basic, htpasswdOf, openTestAuth, type TestAuth } from '../auth/test-auth.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { Browser, hiddenFields, tokenOf } from './browser.ts';

describe('the login of the pages', () => {
  let storage: OpenedStorage;
  let auth: TestAuth;
  let server: RegistryServer;
  let cookie: string;
  before(async () => {
    storage = await openFiles();
    auth = await openTestAuth({
      users: ['alice', 'bob', 'carol'],
      access: [
        { repositories: ['public/*'], users: ['anonymous'], actions: ['pull'] },
        { repositories: ['team/*'], users: ['alice', 'carol'], actions: ['pull', 'push', 'delete'] },
      ],
    });
    server = await startRegistry(storage.driver, { auth });
    cookie = `stowage-${server.url.port}`;
    await pushImage(new V2Client(server.url, basic('alice')), 'team/app', '1.0', { contents: ['a'] });
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const browser = () => new Browser(server.url);

  it('leads to the page that was asked for', async () => {
    const own = browser();
    const { response, text } = await own.open('/ui/r/team/app');
    assert.match(text, /type="password"/);
    assert.equal(response.status, 200);
    const fields = hiddenFields(text);
    const page = await own.submit('/ui/login', [...fields, ['name', 'alice'], ['password', 'alice-password']]);
    assert.equal(page.status, 200);
    assert.match(page.text, /<h1>team\/app<\/h1>/);
  });

  it('ends with the logout', async () => {
    const own = browser();
    const { text } = await own.login('alice');
    const { text: after } = await own.submit('/ui/logout', hiddenFields(text));
    assert.doesNotMatch(after, /alice/);
    assert.match((await own.open('/ui/r/team/app')).text, /type="password"/);
  });

  it('refuses wrong passwords without saying which part is wrong, and writes them to the audit log', async () => {
    const [wrong, unknown] = [await browser().login('bob', 'wrong'), await browser().login('nemo', 'wrong')];
    assert.deepEqual([wrong.status, unknown.status], [401, 401]);
    assert.equal(messageOf(wrong.text), messageOf(unknown.text));
    assert.equal(wrong.response.headers.get('WWW-Authenticate'), null);
    const refused = auth.audited.filter(({ action, who }) => action === 'login' && ['bob', 'nemo'].includes(who));
    assert.equal(refused.length, 2);
  });

  it('takes no token of an identity provider, which a session would outlive', async () => {
    const { status, text } = await browser().login('oidc', 'a.b.c');
    assert.equal(status, 403);
    assert.match(messageOf(text), /identity provider/);
  });

  it('is throttled as logins of other clients are', async () => {
    const own = browser();
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 30 && !statuses.includes(429); attempt++) {
      statuses.push((await own.login('throttled', `wrong-${attempt}`)).status);
    }
    assert.equal(statuses.at(-1), 429, statuses.join());
  });

  it('sets a cookie that no script reads, for this port alone', async () => {
    const own = browser();
    const { text } = await own.open('/ui/login');
    const response = await own.post('/ui/login', [
      ...hiddenFields(text),
      ['name', 'alice'],
      ['password', 'alice-password'],
    ]);
    const [line = ''] = response.headers.getSetCookie();
    assert.ok(line.startsWith(`${cookie}=`), line);
    for (const attribute of ['HttpOnly', 'SameSite=Lax', 'Path=/', 'Max-Age=43200'])
      assert.ok(line.includes(attribute), line);
    assert.ok(!line.includes('Secure'), 'a cookie with Secure is not sent over plain HTTP');
  });

  it('gives the session a new id, so that one from before the login is worth nothing', async () => {
    const own = browser();
    await own.open('/ui/login');
    const before = own.cookies.get(cookie) ?? '';
    await own.login('alice');
    assert.notEqual(own.cookies.get(cookie), before);
    const attacker = browser();
    attacker.cookies.set(cookie, before);
    assert.match((await attacker.open('/ui/r/team/app')).text, /type="password"/);
  });

  it('takes no cookie that was changed, or signed for another purpose', async () => {
    const own = browser();
    await own.login('alice');
    const value = own.cookies.get(cookie) ?? '';
    for (const changed of [`${value}x`, value.slice(1), value.replace(/^./, 'A'), '', 'a.b']) {
      own.cookies.set(cookie, changed);
      assert.match((await own.open('/ui/r/team/app')).text, /type="password"/, changed);
    }
  });

  it('ends when the password changes or the user is removed', async () => {
    const own = browser();
    await own.login('carol');
    assert.match((await own.open('/ui/r/team/app')).text, /<h1>team\/app/);
    const place = auth.config.htpasswd;
    assert.ok(place?.kind === 'file');
    await writeFile(place.path, await htpasswdOf(['alice', 'bob', 'carol'])); // other hashes, as after a change of passwords
    assert.match(await shownAfterReload(own), /type="password"/);
  });

  /** Changed users are read again after a while. */
  async function shownAfterReload(own: Browser): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      const { text } = await own.open('/ui/r/team/app');
      if (attempt === 50 || text.includes('type="password"')) return text;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  it('is not asked for by the APIs, which ignore the cookie', async () => {
    const own = browser();
    await own.login('alice');
    const headers = { Cookie: `${cookie}=${own.cookies.get(cookie)}` };
    for (const path of ['/v2/', '/v2/team/app/tags/list', '/v1/users/']) {
      assert.equal((await fetch(new URL(path, server.url), { headers })).status, 401, path);
    }
  });

  it('ignores Authorization, so that a link with a password logs in to nothing', async () => {
    const { text } = await browser().open('/ui/r/team/app', basic('alice'));
    assert.match(text, /type="password"/);
  });

  for (const [title, change] of [
    ['without a token', { token: '' }],
    ['with a token of another session', { token: 'other' }],
    ['from another origin', { headers: { Origin: 'https://evil.example' } }],
    ['from a page without an origin', { headers: { Origin: 'null' } }],
    ['from another site', { headers: { 'Sec-Fetch-Site': 'cross-site' } }],
  ] as const) {
    it(`takes no form ${title}: neither a login nor a logout`, async () => {
      const own = browser();
      const { text } = await own.login('alice');
      const other = browser();
      const foreign = tokenOf((await other.open('/ui/login')).text);
      const token = 'token' in change ? (change.token === 'other' ? foreign : change.token) : tokenOf(text);
      const headers: Record<string, string> = 'headers' in change ? change.headers : {};
      const logout = await own.post('/ui/logout', [['token', token]], headers);
      assert.equal(logout.status, 403);
      const login = await own.post(
        '/ui/login',
        [
          ['token', token],
          ['name', 'bob'],
          ['password', 'bob-password'],
        ],
        headers,
      );
      assert.equal(login.status, 403);
      assert.deepEqual(login.headers.getSetCookie(), []);
      assert.match((await own.open('/ui/r/team/app')).text, /alice/);
    });
  }

  it('leads to pages of its own only', async () => {
    for (const to of [
      'https://evil.example/',
      '//evil.example/',
      '/\\evil.example',
      '/ui/../v2/',
      '/v2/',
      'javascript:alert(1)',
      '/ui//evil.example',
    ]) {
      const own = browser();
      const { text } = await own.open(`/ui/login?${new URLSearchParams({ to })}`);
      const fields = hiddenFields(text).filter(([name]) => name !== 'to');
      const sent = await own.post('/ui/login', [
        ...fields,
        ['to', to],
        ['name', 'alice'],
        ['password', 'alice-password'],
      ]);
      const location = new URL(sent.headers.get('Location') ?? '', server.url);
      assert.equal(location.origin, server.url.origin, to);
      assert.ok(location.pathname.startsWith('/ui/'), `${to}: ${location}`);
    }
  });

  it('takes no password over plain HTTP from another machine', async () => {
    const own = browser();
    const { text } = await own.open('/ui/login');
    assert.doesNotMatch(text, /role="alert"/);
    const { status, body } = await postAs('registry.example', tokenOf(text), own.cookies.get(cookie) ?? '');
    assert.equal(status, 403, body);
  });

  async function postAs(host: string, _token: string, _session: string): Promise<{ status: number; body: string }> {
    const { request } = await import('node:http');
    const send = (method: string, path: string, headers: Record<string, string>, body = '') =>
      new Promise<{ status: number; body: string; cookie: string }>((resolve, reject) => {
        const sent = request(
          { host: server.url.hostname, port: server.url.port, method, path, headers: { Host: host, ...headers } },
          (response) => {
            const chunks: Buffer[] = [];
            response
              .on('data', (chunk: Buffer) => chunks.push(chunk))
              .on('end', () => {
                const set = response.headers['set-cookie']?.[0] ?? '';
                resolve({
                  status: response.statusCode ?? 0,
                  body: Buffer.concat(chunks).toString(),
                  cookie: set.split(';')[0] ?? '',
                });
              });
          },
        );
        sent.on('error', reject).end(body);
      });
    const form = await send('GET', '/ui/login', {});
    assert.match(form.body, /role="alert"/);
    const fields = new URLSearchParams([...hiddenFields(form.body), ['name', 'alice'], ['password', 'alice-password']]);
    return await send(
      'POST',
      '/ui/login',
      { Cookie: form.cookie, Origin: `http://${host}`, 'Content-Type': 'application/x-www-form-urlencoded' },
      String(fields),
    );
  }
});

function messageOf(text: string): string {
  return /role="alert">([^<]*)</.exec(text)?.[1] ?? assert.fail('the page shows no problem');
}
