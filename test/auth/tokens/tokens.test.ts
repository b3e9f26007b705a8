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

  it('is offered by an absolute URL if a rule allows anonymous callers something', async () => {
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

  it('uses the host and port that a trusted proxy reports, and ignores other proxies', async () => {
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

  it('is not offered if every rule requires a login: the challenge is Basic', async () => {
    const closed = await openTestAuth({ users: ['alice'] });
    const other = await startRegistry(storage.driver, { auth: closed });
    const response = await fetch(new URL('/v2/', other.url));
    assert.equal(response.headers.get('WWW-Authenticate'), 'Basic realm="Ours"');
    const token = await fetch(new URL('/v2/_token', other.url));
    assert.equal(token.status, 401);
    assert.equal(token.headers.get('WWW-Authenticate'), 'Basic realm="Ours"');
    await other.stop();
  });

  it('uses public_url instead of the host of the request', async () => {
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

  it('grants those of the requested actions that the caller may do', async () => {
    const answer = await tokenOf(['repository:team/a:pull,push,delete', 'repository:other/x:pull'], basic('alice'));
    assert.equal(answer.token, answer.access_token);
    assert.equal(answer.expires_in, 300);
    assert.equal(answer.scope, 'repository:team/a:pull,push');
    const list = (path: string) => request(path, bearer(answer.token));
    assert.equal((await list('/v2/team/a/tags/list')).status, 200);
    assert.equal((await list('/v2/')).status, 200);
    // alice may pull from team/b, so another token would allow it.
    const other = await list('/v2/team/b/tags/list');
    assert.equal(other.status, 401);
    assert.match(
      other.headers.get('WWW-Authenticate') ?? '',
      /^Bearer .*scope="repository:team\/b:pull",error="insufficient_scope"$/,
    );
    // This token was requested for other/x and refused, so another one would not help.
    const refused = await list('/v2/other/x/tags/list');
    assert.equal(refused.status, 403);
    assert.deepEqual(await codesOf(refused), ['DENIED']);
  });

  it('accepts several scopes in one parameter, and * for all actions', async () => {
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
    it(`grants nothing for ${JSON.stringify(scope)}`, async () => {
      assert.equal((await tokenOf([scope], basic('alice'))).scope, '');
    });
  }

  it('says in a 403 that the user may not push', async () => {
    const { token } = await tokenOf(['repository:team/a:pull,push'], basic('bob'));
    const response = await request('/v2/team/a/blobs/uploads/', bearer(token), { method: 'POST' });
    assert.equal(response.status, 403);
    const { errors } = (await response.json()) as { errors: object[] };
    assert.deepEqual(errors, [{ code: 'DENIED', message: 'bob may not push to team/a' }]);
  });

  it('gives an anonymous client a token for public repositories, which is no login', async () => {
    const { token, scope } = await tokenOf(['repository:public/x:pull,push', 'repository:team/a:pull']);
    assert.equal(scope, 'repository:public/x:pull');
    assert.equal((await request('/v2/public/x/tags/list', bearer(token))).status, 404);
    assert.equal((await request('/v2/team/a/tags/list', bearer(token))).status, 401);
    assert.equal((await request('/v2/', bearer(token))).status, 401);
  });

  it('lists only with a token for the catalog, and then what its owner may pull', async () => {
    const { token } = await tokenOf(['registry:catalog:*'], basic('bob'));
    assert.deepEqual(await (await request('/v2/_catalog', bearer(token))).json(), { repositories: ['team/a'] });
    assert.equal((await request('/v2/team/a/tags/list', bearer(token))).status, 401, 'the token allows nothing else');
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

    it('challenges a request without a login, as oras, regctl and crane expect before they send theirs', async () => {
      const response = await request('/v2/_catalog');
      assert.equal(response.status, 401);
      assert.equal(
        response.headers.get('WWW-Authenticate'),
        `Bearer realm="${server.url.origin}/v2/_token",service="${server.url.host}",scope="registry:catalog:*"`,
      );
      assert.deepEqual(await codesOf(response), ['UNAUTHORIZED']);
    });

    it('shows the public part to an anonymous token', async () => {
      const { token } = await tokenOf(['registry:catalog:*']);
      const list = await request('/v2/_catalog', bearer(token));
      assert.equal(list.status, 200);
      assert.deepEqual(await list.json(), { repositories: ['public/x'] });
    });

    it('shows all that a user may pull to the token and to the password of the user', async () => {
      const { token } = await tokenOf(['registry:catalog:*'], basic('alice'));
      const repositories = ['public/x', 'team/a'];
      assert.deepEqual(await (await request('/v2/_catalog', bearer(token))).json(), { repositories });
      assert.deepEqual(await (await request('/v2/_catalog', basic('alice'))).json(), { repositories });
    });

    it('does not challenge where every caller may pull everything', async () => {
      const access = [{ repositories: '*', users: 'anonymous', actions: 'pull' }];
      const all = await startRegistry(storage.driver, { auth: await openTestAuth({ users: ['alice'], access }) });
      const list = await fetch(new URL('/v2/_catalog', all.url));
      assert.equal(list.status, 200);
      assert.deepEqual(await list.json(), { repositories: ['public/x', 'team/a'] });
      await all.stop();
    });

    it('differs from tags and referrers, which a caller sees completely or not at all', async () => {
      const referrers = `referrers/sha256:${'0'.repeat(64)}`;
      for (const path of ['tags/list', referrers]) {
        assert.equal((await request(`/v2/public/x/${path}`)).status, 200);
        const secret = await request(`/v2/team/a/${path}`);
        assert.equal(secret.status, 401);
        assert.match(secret.headers.get('WWW-Authenticate') ?? '', /scope="repository:team\/a:pull"$/);
      }
    });
  });

  it('a wrong password is refused with a Basic challenge', async () => {
    const response = await request('/v2/_token', basic('alice', 'wrong'));
    assert.equal(response.status, 401);
    assert.equal(response.headers.get('WWW-Authenticate'), 'Basic realm="Ours"');
    assert.deepEqual(await codesOf(response), ['UNAUTHORIZED']);
  });

  describe('an access token is refused', () => {
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

    it('but not if the test signs it as the registry does', async () => {
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
      ['empty', async () => ''],
    ] as const) {
      it(`if it is ${title}`, async () => {
        const response = await request('/v2/team/a/tags/list', bearer(await make()));
        assert.equal(response.status, 401);
        assert.match(response.headers.get('WWW-Authenticate') ?? '', /^Bearer realm=/);
        assert.deepEqual(await codesOf(response), ['UNAUTHORIZED']);
      });
    }
  });

  it('an access token stays valid while its secret is listed as a previous one', async () => {
    const token = await new AccessTokens(new SigningKeys('old')).issueAccess({ subject: 'alice', grants: [] });
    assert.ok(await new AccessTokens(new SigningKeys('new', ['old'])).readAccess(token));
    assert.equal(await new AccessTokens(new SigningKeys('new')).readAccess(token), undefined);
  });

  describe('by a form, as in OAuth 2', () => {
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

    it('gives a refresh token if the client requests one', async () => {
      const first = (await (await post({ ...login, access_type: 'offline' })).json()) as TokenAnswer;
      const refresh_token = first.refresh_token ?? assert.fail('there is none');
      const again = await post({ grant_type: 'refresh_token', refresh_token, scope: 'repository:team/a:push' });
      assert.equal(((await again.json()) as TokenAnswer).scope, 'repository:team/a:push');
      assert.equal(
        (await request('/v2/', bearer(refresh_token))).status,
        401,
        'a refresh token is not an access token',
      );
    });

    it('refuses a refresh token after the password has changed or the user was removed', async () => {
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
      ['a login without a name', { grant_type: 'password' }, 401, 'UNAUTHORIZED'],
      ['no refresh token', { grant_type: 'refresh_token' }, 401, 'UNAUTHORIZED'],
      ['another grant type', { grant_type: 'client_credentials' }, 405, 'UNSUPPORTED'],
      ['an empty form', {}, 405, 'UNSUPPORTED'],
      ['a form of more than 64 KiB', { ...login, scope: 'x'.repeat(70_000) }, 413, 'SIZE_INVALID'],
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

    it('logs in with its token, and may do what the token allows', async () => {
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

    it('gets access tokens that allow no more', async () => {
      const { token } = await make();
      const headers = basic('robot', token);
      assert.equal((await tokenOf(['repository:team/a:pull,push'], headers)).scope, 'repository:team/a:pull');
      const catalog = (await tokenOf(['registry:catalog:*'], headers)).token;
      assert.deepEqual(await (await request('/v2/_catalog', bearer(catalog))).json(), { repositories: ['team/a'] });
    });

    it('expires', async () => {
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

    it('is stored without its secret', async () => {
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

  it('a refused login is audited with the name', async () => {
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
