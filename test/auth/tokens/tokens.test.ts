import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SignJWT, UnsecuredJWT } from 'jose';
import { AccessTokens } from '../../../lib/auth/tokens/access-tokens.ts';
import { type Robot, Robots } from '../../../lib/auth/tokens/robots.ts';
import { SigningKeys } from '../../../lib/model/signed-token.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { codesOf, V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';
import { basic, openTestAuth, SECRET, type TestAuth } from '../test-auth.ts';

const ACCESS = [
  { repositories: 'public/*', users: 'anonymous', actions: 'pull' },
  { repositories: 'team/*', users: 'alice', actions: ['pull', 'push'] },
  { repositories: 'team/*', users: 'bob', actions: 'pull' },
];

type TokenAnswer = { token: string; access_token: string; expires_in: number; scope: string; refresh_token?: string };

describe("Docker's token protocol", () => {
  let storage: OpenedStorage;
  let auth: TestAuth;
  let server: RegistryServer;
  before(async () => {
    storage = await openFiles();
    auth = await openTestAuth({ users: ['alice', 'bob'], access: ACCESS, driver: storage.driver });
    server = await startRegistry(storage.driver, { auth });
    await pushImage(new V2Client(server.url, basic('alice')), 'team/a', 'latest', { contents: ['team'] });
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const request = async (path: string, headers: Record<string, string> = {}, init: RequestInit = {}) =>
    await fetch(new URL(path, server.url), { ...init, headers });
  const tokenOf = async (scopes: string[], headers: Record<string, string> = {}): Promise<TokenAnswer> => {
    const query = new URLSearchParams({ service: server.url.host });
    for (const scope of scopes) query.append('scope', scope);
    const response = await request(`/v2/_token?${query}`, headers);
    assert.equal(response.status, 200, await response.clone().text());
    assert.equal(response.headers.get('Cache-Control'), 'no-store');
    return (await response.json()) as TokenAnswer;
  };
  const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
  const post = async (form: Record<string, string>) =>
    await request('/v2/_token', {}, { method: 'POST', body: new URLSearchParams(form) });

  it('is offered where a rule lets in who has not logged in, with an absolute URL', async () => {
    const origin = server.url.origin;
    const ping = await request('/v2/');
    assert.equal(ping.status, 401);
    assert.equal(
      ping.headers.get('WWW-Authenticate'),
      `Bearer realm="${origin}/v2/_token",service="${server.url.host}"`,
    );
    const pull = await request('/v2/team/a/tags/list');
    assert.equal(
      pull.headers.get('WWW-Authenticate'),
      `Bearer realm="${origin}/v2/_token",service="${server.url.host}",scope="repository:team/a:pull"`,
    );
    const push = await request('/v2/team/a/blobs/uploads/', {}, { method: 'POST' });
    assert.match(push.headers.get('WWW-Authenticate') ?? '', /scope="repository:team\/a:pull,push"$/);
    const behindProxy = await request('/v2/', { 'X-Forwarded-Proto': 'https' });
    assert.match(behindProxy.headers.get('WWW-Authenticate') ?? '', /realm="https:/);
  });

  it('names the host and port that a trusted proxy was asked for, and believes no other proxy', async () => {
    const headers = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'a.example', 'X-Forwarded-Port': '8443' };
    const proxied = await startRegistry(storage.driver, { auth, trustedProxies: 1 });
    const trusted = await fetch(new URL('/v2/', proxied.url), { headers });
    assert.equal(
      trusted.headers.get('WWW-Authenticate'),
      'Bearer realm="https://a.example:8443/v2/_token",service="a.example:8443"',
    );
    const other = await request('/v2/', headers);
    assert.match(other.headers.get('WWW-Authenticate') ?? '', /^Bearer realm="https:\/\/127\.0\.0\.1:\d+\/v2\/_token"/);
    await proxied.stop();
  });

  it('and not elsewhere: Basic is enough where every rule wants a login', async () => {
    const closed = await openTestAuth({ users: ['alice'] });
    const other = await startRegistry(storage.driver, { auth: closed });
    const response = await fetch(new URL('/v2/', other.url));
    assert.equal(response.headers.get('WWW-Authenticate'), 'Basic realm="Ours"');
    const token = await fetch(new URL('/v2/_token', other.url));
    assert.equal(token.status, 401);
    assert.equal(token.headers.get('WWW-Authenticate'), 'Basic realm="Ours"');
    await other.stop();
  });

  it('takes the configured URL, whatever the request says', async () => {
    const configured = await openTestAuth({
      users: [],
      access: ACCESS,
      publicUrl: 'https://registry.example',
    });
    const other = await startRegistry(storage.driver, { auth: configured });
    const response = await fetch(new URL('/v2/', other.url));
    assert.equal(
      response.headers.get('WWW-Authenticate'),
      'Bearer realm="https://registry.example/v2/_token",service="registry.example"',
    );
    await other.stop();
  });

  it('gives exactly what was asked for and may be had', async () => {
    const answer = await tokenOf(['repository:team/a:pull,push,delete', 'repository:other/x:pull'], basic('alice'));
    assert.equal(answer.token, answer.access_token);
    assert.equal(answer.expires_in, 300);
    assert.equal(answer.scope, 'repository:team/a:pull,push');
    const list = (path: string) => request(path, bearer(answer.token));
    assert.equal((await list('/v2/team/a/tags/list')).status, 200);
    assert.equal((await list('/v2/')).status, 200);
    // alice may pull from team/b, but this token does not say so: another one would.
    const other = await list('/v2/team/b/tags/list');
    assert.equal(other.status, 401);
    assert.match(
      other.headers.get('WWW-Authenticate') ?? '',
      /^Bearer .*scope="repository:team\/b:pull",error="insufficient_scope"$/,
    );
    // She asked for these and got them not: there is nothing to be had by asking again.
    const refused = await list('/v2/other/x/tags/list');
    assert.equal(refused.status, 403);
    assert.deepEqual(await codesOf(refused), ['DENIED']);
  });

  it('takes several scopes in one parameter, and * for all actions', async () => {
    const { scope } = await tokenOf(['repository:team/a:* repository:app:pull'], basic('bob'));
    assert.equal(scope, 'repository:team/a:pull');
    assert.equal((await tokenOf(['repository(plugin):team/p:pull'], basic('bob'))).scope, 'repository:team/p:pull');
  });

  for (const scope of [
    '',
    'repository',
    'repository:',
    'repository::pull',
    'repository:TEAM/A:pull',
    'repository:team/*:pull',
    'repository:team/a:admin',
    'registry:catalog:x',
  ]) {
    it(`gives nothing for ${JSON.stringify(scope)}`, async () => {
      assert.equal((await tokenOf([scope], basic('alice'))).scope, '');
    });
  }

  it('tells a user why a push is refused', async () => {
    const { token } = await tokenOf(['repository:team/a:pull,push'], basic('bob'));
    const response = await request('/v2/team/a/blobs/uploads/', bearer(token), { method: 'POST' });
    assert.equal(response.status, 403);
    const { errors } = (await response.json()) as { errors: object[] };
    assert.deepEqual(errors, [{ code: 'DENIED', message: 'bob may not push to team/a' }]);
  });

  it('gives those who have not logged in what anybody gets, and no login by that', async () => {
    const { token, scope } = await tokenOf(['repository:public/x:pull,push', 'repository:team/a:pull']);
    assert.equal(scope, 'repository:public/x:pull');
    assert.equal((await request('/v2/public/x/tags/list', bearer(token))).status, 404);
    assert.equal((await request('/v2/team/a/tags/list', bearer(token))).status, 401);
    assert.equal((await request('/v2/', bearer(token))).status, 401);
  });

  it('lists only with a token for that, and then what its owner may pull', async () => {
    const { token } = await tokenOf(['registry:catalog:*'], basic('bob'));
    assert.deepEqual(await (await request('/v2/_catalog', bearer(token))).json(), { repositories: ['team/a'] });
    assert.equal((await request('/v2/team/a/tags/list', bearer(token))).status, 401, 'which gives no more than a list');
    const other = (await tokenOf(['repository:team/a:pull'], basic('bob'))).token;
    const refused = await request('/v2/_catalog', bearer(other));
    assert.equal(refused.status, 401);
    assert.match(refused.headers.get('WWW-Authenticate') ?? '', /scope="registry:catalog:\*"/);
  });

  describe('the catalog, where a login would show more', () => {
    before(async () => {
      const { driver } = storage;
      const open = await startRegistry(driver);
      await pushImage(new V2Client(open.url), 'public/x', 'latest', { contents: ['public'] });
      await open.stop();
    });

    it('asks a caller who has shown nothing for a login, as oras, regctl and crane wait for before they send theirs', async () => {
      const response = await request('/v2/_catalog');
      assert.equal(response.status, 401);
      assert.equal(
        response.headers.get('WWW-Authenticate'),
        `Bearer realm="${server.url.origin}/v2/_token",service="${server.url.host}",scope="registry:catalog:*"`,
      );
      assert.deepEqual(await codesOf(response), ['UNAUTHORIZED']);
    });

    it('gives the public part to a token that was asked for without a login', async () => {
      const { token } = await tokenOf(['registry:catalog:*']);
      const list = await request('/v2/_catalog', bearer(token));
      assert.equal(list.status, 200);
      assert.deepEqual(await list.json(), { repositories: ['public/x'] });
    });

    it('gives all that a user may pull to their token, and to their password', async () => {
      const { token } = await tokenOf(['registry:catalog:*'], basic('alice'));
      const repositories = ['public/x', 'team/a'];
      assert.deepEqual(await (await request('/v2/_catalog', bearer(token))).json(), { repositories });
      assert.deepEqual(await (await request('/v2/_catalog', basic('alice'))).json(), { repositories });
    });

    it('asks nothing where every caller may pull everything', async () => {
      const access = [{ repositories: '*', users: 'anonymous', actions: 'pull' }];
      const all = await startRegistry(storage.driver, { auth: await openTestAuth({ users: ['alice'], access }) });
      const list = await fetch(new URL('/v2/_catalog', all.url));
      assert.equal(list.status, 200);
      assert.deepEqual(await list.json(), { repositories: ['public/x', 'team/a'] });
      await all.stop();
    });

    it('does not concern tags and referrers, of which a login shows all or nothing', async () => {
      const referrers = `referrers/sha256:${'0'.repeat(64)}`;
      for (const path of ['tags/list', referrers]) {
        assert.equal((await request(`/v2/public/x/${path}`)).status, 200);
        const secret = await request(`/v2/team/a/${path}`);
        assert.equal(secret.status, 401);
        assert.match(secret.headers.get('WWW-Authenticate') ?? '', /scope="repository:team\/a:pull"$/);
      }
    });
  });

  it('a wrong password is refused, with Basic as the way to log in', async () => {
    const response = await request('/v2/_token', basic('alice', 'wrong'));
    assert.equal(response.status, 401);
    assert.equal(response.headers.get('WWW-Authenticate'), 'Basic realm="Ours"');
    assert.deepEqual(await codesOf(response), ['UNAUTHORIZED']);
  });

  describe('a token that is worth nothing', () => {
    const NOW = Math.floor(Date.now() / 1000);
    const GRANTS = { grants: [{ repository: 'team/a', actions: ['pull'] }] };
    const sign = async (key: Uint8Array, { alg = 'HS256', exp = NOW + 60, iss = 'stowage' } = {}) =>
      await new SignJWT(GRANTS)
        .setProtectedHeader({ alg })
        .setIssuer(iss)
        .setSubject('alice')
        .setExpirationTime(exp)
        .sign(key);
    const key = new SigningKeys(SECRET).signing('access token');

    it('the test signs as the registry does', async () => {
      assert.equal((await request('/v2/team/a/tags/list', bearer(await sign(key)))).status, 200);
    });

    for (const [title, make] of [
      ['expired', () => sign(key, { exp: NOW - 1 })],
      ['signed with another key', () => sign(new SigningKeys('another').signing('access token'))],
      ['signed for another purpose', () => sign(new SigningKeys(SECRET).signing('refresh token'))],
      ['signed with the secret itself', () => sign(Buffer.from(SECRET))],
      ['signed by another algorithm', () => sign(Buffer.concat([key, key]), { alg: 'HS512' })],
      ['of another issuer', () => sign(key, { iss: 'other' })],
      ['not signed', async () => new UnsecuredJWT(GRANTS).setIssuer('stowage').setSubject('alice').encode()],
      [
        'changed',
        async () => (await sign(key)).replace(/\.[^.]+\./, `.${Buffer.from('{"sub":"x"}').toString('base64url')}.`),
      ],
      ['nonsense', async () => 'a.b.c'],
      ['nothing', async () => ''],
    ] as const) {
      it(`because it is ${title}`, async () => {
        const response = await request('/v2/team/a/tags/list', bearer(await make()));
        assert.equal(response.status, 401);
        assert.match(response.headers.get('WWW-Authenticate') ?? '', /^Bearer realm=/);
        assert.deepEqual(await codesOf(response), ['UNAUTHORIZED']);
      });
    }
  });

  it('a token of an earlier secret counts while that is named', async () => {
    const token = await new AccessTokens(new SigningKeys('old')).issueAccess({ subject: 'alice', grants: [] });
    assert.ok(await new AccessTokens(new SigningKeys('new', ['old'])).readAccess(token));
    assert.equal(await new AccessTokens(new SigningKeys('new')).readAccess(token), undefined);
  });

  describe('by a form, as OAuth has it', () => {
    const login = {
      grant_type: 'password',
      username: 'alice',
      password: 'alice-password',
      client_id: 'c',
      service: 's',
    };

    it('gives a token for a password', async () => {
      const response = await post({ ...login, scope: 'repository:team/a:pull' });
      assert.equal(response.status, 200);
      const answer = (await response.json()) as TokenAnswer;
      assert.equal(answer.scope, 'repository:team/a:pull');
      assert.equal(answer.refresh_token, undefined);
      assert.equal((await request('/v2/team/a/tags/list', bearer(answer.access_token))).status, 200);
    });

    it('and one to come back with, if that is asked for', async () => {
      const first = (await (await post({ ...login, access_type: 'offline' })).json()) as TokenAnswer;
      const refresh_token = first.refresh_token ?? assert.fail('there is none');
      const again = await post({ grant_type: 'refresh_token', refresh_token, scope: 'repository:team/a:push' });
      assert.equal(((await again.json()) as TokenAnswer).scope, 'repository:team/a:push');
      assert.equal((await request('/v2/', bearer(refresh_token))).status, 401, 'which is no access token');
    });

    it('which no longer counts when the password has changed, or the user is gone', async () => {
      const tokens = new AccessTokens(new SigningKeys(SECRET));
      for (const refresh of [
        { name: 'alice', passwordMark: 'another' },
        { name: 'carol', passwordMark: 'x' },
      ]) {
        const refused = await post({ grant_type: 'refresh_token', refresh_token: await tokens.issueRefresh(refresh) });
        assert.equal(refused.status, 401);
      }
    });

    for (const [title, form, status, code] of [
      ['a wrong password', { ...login, password: 'x' }, 401, 'UNAUTHORIZED'],
      ['nobody', { grant_type: 'password' }, 401, 'UNAUTHORIZED'],
      ['no refresh token', { grant_type: 'refresh_token' }, 401, 'UNAUTHORIZED'],
      ['another grant', { grant_type: 'client_credentials' }, 405, 'UNSUPPORTED'],
      ['nothing', {}, 405, 'UNSUPPORTED'],
      ['too much', { ...login, scope: 'x'.repeat(70_000) }, 413, 'SIZE_INVALID'],
    ] as const) {
      it(`refuses ${title}`, async () => {
        const response = await post(form);
        assert.equal(response.status, status);
        assert.deepEqual(await codesOf(response), [code]);
      });
    }
  });

  describe('a robot', () => {
    let robots: Robots;
    before(() => {
      robots = new Robots(storage.driver);
    });
    const make = async (robot: Partial<Robot> = {}) =>
      await robots.create({ name: 'ci', repositories: ['team/*'], actions: ['pull'], expiresAt: undefined, ...robot });

    it('logs in with its token, and may what that allows', async () => {
      const { token } = await make();
      const headers = basic('robot', token);
      assert.equal((await request('/v2/', headers)).status, 200);
      assert.equal((await request('/v2/team/a/tags/list', headers)).status, 200);
      const refused = await request('/v2/team/a/blobs/uploads/', headers, { method: 'POST' });
      assert.equal(refused.status, 403);
      const { errors } = (await refused.json()) as { errors: object[] };
      assert.deepEqual(errors, [{ code: 'DENIED', message: 'robot:ci may not push to team/a' }]);
      assert.equal((await request('/v2/public/x/tags/list', headers)).status, 403, 'rules are not asked');
      assert.deepEqual(await (await request('/v2/_catalog', headers)).json(), { repositories: ['team/a'] });
    });

    it('gets tokens by it, with no more in them', async () => {
      const { token } = await make();
      const headers = basic('robot', token);
      assert.equal((await tokenOf(['repository:team/a:pull,push'], headers)).scope, 'repository:team/a:pull');
      const catalog = (await tokenOf(['registry:catalog:*'], headers)).token;
      assert.deepEqual(await (await request('/v2/_catalog', bearer(catalog))).json(), { repositories: ['team/a'] });
    });

    it('ends when it says so', async () => {
      const { token } = await make({ expiresAt: new Date(Date.now() - 1000).toISOString() });
      assert.equal((await request('/v2/', basic('robot', token))).status, 401);
    });

    it('ends when it is revoked', async () => {
      const { token, robot } = await make();
      assert.ok((await robots.list()).some(({ id }) => id === robot.id));
      assert.ok(await robots.find(token));
      assert.equal(await robots.revoke(robot.id), true);
      assert.equal(await robots.find(token), undefined);
      assert.equal(await robots.revoke(robot.id), false);
      assert.equal((await request('/v2/', basic('robot', token))).status, 401);
    });

    it('is kept without its secret', async () => {
      const { token, robot } = await make();
      assert.doesNotMatch(JSON.stringify(await robots.list()), /sha256/);
      assert.doesNotMatch(JSON.stringify(robot), new RegExp(token.slice(-43)));
    });

    for (const [title, change] of [
      ['another secret', (token: string) => `${token.slice(0, -43)}${'A'.repeat(43)}`],
      ['another id', (token: string) => token.replace(/_[0-9a-f]{8}/, '_00000000')],
      ['a path for an id', () => `stowage_${'../'.repeat(12)}_${'A'.repeat(43)}`],
      ['no token', () => 'password'],
    ] as const) {
      it(`does not log in with ${title}`, async () => {
        const { token } = await make();
        assert.equal((await request('/v2/', basic('robot', change(token)))).status, 401);
      });
    }
  });

  it('what was refused is noted, with who it was', async () => {
    auth.audited.length = 0;
    await request('/v2/_token', basic('alice', 'wrong'));
    const [entry] = auth.audited;
    assert.equal(auth.audited.length, 1);
    assert.partialDeepStrictEqual(entry, {
      who: 'alice',
      action: 'login',
      outcome: 'refused',
      status: 401,
      path: '/v2/_token',
    });
  });
});
