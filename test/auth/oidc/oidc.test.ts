import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { OidcIssuer } from '../../../lib/auth/oidc/issuer.ts';
import { OidcLogins } from '../../../lib/auth/oidc/logins.ts';
import { createLog } from '../../../lib/model/log.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';
import { basic, openTestAuth } from '../test-auth.ts';
import { useIssuer } from './issuer.ts';

const CONFIGURATION = '/.well-known/openid-configuration';

describe('a login with the token of an identity provider', () => {
  const issuer = useIssuer();
  const other = useIssuer();
  const log = createLog('critical');
  const rule = (claims: Record<string, string[]>, groups: string[] = []) => ({
    issuer: issuer.url,
    jwksUri: undefined,
    audience: 'registry',
    claims,
    groups,
  });
  beforeEach(() => {
    issuer.answers.clear();
    issuer.asked.clear();
  });
  const logins = (...rules: ReturnType<typeof rule>[]) =>
    new OidcLogins(rules.length > 0 ? rules : [rule({ repository: ['org/*'] }, ['ci'])], log);

  it('gives the user of its subject, in the groups of the rules that match', async () => {
    const found = await logins(
      rule({ repository: ['org/*'] }, ['ci']),
      rule({ repository: ['org/*'], ref: ['refs/heads/main'] }, ['release', 'ci']),
      rule({ repository: ['elsewhere/*'] }, ['admins']),
    ).find(await issuer.token({ ref: 'refs/heads/main' }));
    assert.deepEqual(found, {
      kind: 'user',
      name: `oidc:${issuer.url}#repo:org/app:ref:refs/heads/main`,
      groups: ['ci', 'release'],
    });
  });

  it('gives different users for one subject of two issuers', async () => {
    const both = logins(rule({ sub: ['*'] }, ['ci']), { ...rule({ sub: ['*'] }, ['guests']), issuer: other.url });
    const [one, another] = [await both.find(await issuer.token()), await both.find(await other.token())];
    assert.ok(one && another);
    assert.notEqual(one.name, another.name);
  });

  for (const [title, claims, expected, fits] of [
    ['a claim that matches', { ref: 'refs/tags/v1' }, { ref: ['refs/heads/main', 'refs/tags/*'] }, true],
    ['a claim that does not', { ref: 'refs/pull/1' }, { ref: ['refs/heads/main', 'refs/tags/*'] }, false],
    ['a claim that is missing', {}, { environment: ['*'] }, false],
    ['a claim with the name of a property of every object', {}, { constructor: ['*'], toString: ['*'] }, false],
    ['one claim of two', { ref: 'a' }, { ref: ['a'], actor: ['me'] }, false],
    ['a list that contains the value', { groups: ['x', 'devs'] }, { groups: ['devs'] }, true],
    ['a list that does not contain the value', { groups: ['x'] }, { groups: ['devs'] }, false],
    ['a boolean', { protected: true }, { protected: ['true'] }, true],
    ['an object as the value', { ref: { a: 1 } }, { ref: ['*'] }, false],
  ] as const) {
    it(`${fits ? 'accepts' : 'refuses'} ${title}`, async () => {
      const wanted = Object.fromEntries(Object.entries(expected).map(([name, patterns]) => [name, [...patterns]]));
      assert.equal((await logins(rule(wanted)).find(await issuer.token(claims))) !== undefined, fits);
    });
  }

  for (const [title, make] of [
    ['has expired', () => issuer.token({}, { expires: '-31s' })],
    ['was issued for another audience', () => issuer.token({ aud: 'elsewhere' })],
    ['is of an issuer that is not configured', () => other.token()],
    ['only claims to be of the issuer', async () => await other.token({ iss: issuer.url })],
    ['is signed by an unknown key', async () => await issuer.token({}, { key: await generateKeyPair('RS256') })],
    [
      'is not signed',
      async () =>
        new UnsecuredJWT({ iss: issuer.url, aud: 'registry', sub: 'x', repository: 'org/x' })
          .setExpirationTime('1m')
          .encode(),
    ],
    ['has no subject', () => issuer.token({ sub: undefined })],
    ['has an empty subject', () => issuer.token({ sub: '' })],
    ['has a subject of more than 512 characters', () => issuer.token({ sub: 'x'.repeat(513) })],
    ['is nonsense', async () => 'x.y.z'],
    ['is empty', async () => ''],
  ] as const) {
    it(`refuses a token that ${title}`, async () => {
      assert.equal(await logins().find(await make()), undefined);
    });
  }

  it('refuses a token whose HMAC uses the public key as the secret', async () => {
    const { publicKey } = await generateKeyPair('RS256');
    const secret = createSecretKey(Buffer.from(await exportSPKI(publicKey)));
    const token = await new SignJWT({ repository: 'org/app' })
      .setProtectedHeader({ alg: 'HS256', kid: 'key-0' })
      .setIssuer(issuer.url)
      .setAudience('registry')
      .setSubject('x')
      .setExpirationTime('1m')
      .sign(secret);
    assert.equal(await logins().find(token), undefined);
  });

  it('requests the keys once for twenty simultaneous logins', async () => {
    const one = logins();
    const tokens = await Promise.all(Array.from({ length: 20 }, () => issuer.token()));
    assert.ok((await Promise.all(tokens.map((token) => one.find(token)))).every((user) => user !== undefined));
    assert.deepEqual(
      [...issuer.asked],
      [
        [CONFIGURATION, 1],
        ['/keys', 1],
      ],
    );
  });

  it('accepts a key that the issuer has added, and does not request keys again for unknown ones', async (t) => {
    const one = logins();
    assert.ok(await one.find(await issuer.token()));
    await issuer.rotate();
    const later = performance.now() + 31_000;
    t.mock.method(performance, 'now', () => later);
    assert.ok(await one.find(await issuer.token()));
    assert.equal(issuer.asked.get('/keys'), 2);
    for (let i = 0; i < 10; i++)
      assert.equal(await one.find(await issuer.token({}, { kid: `made-up-${i}` })), undefined);
    assert.equal(issuer.asked.get('/keys'), 2);
  });

  it('uses the keys that it has while the issuer does not answer', async (t) => {
    const one = logins();
    assert.ok(await one.find(await issuer.token()));
    issuer.answers.set('/keys', { status: 500, body: '' });
    const later = performance.now() + 2 * 60 * 60 * 1000;
    t.mock.method(performance, 'now', () => later);
    assert.ok(await one.find(await issuer.token()));
  });

  for (const [title, path, answer] of [
    [
      'names another issuer in its document',
      CONFIGURATION,
      () => ({ body: JSON.stringify({ issuer: other.url, jwks_uri: `${issuer.url}/keys` }) }),
    ],
    [
      'has its keys on another host',
      CONFIGURATION,
      () => ({ body: JSON.stringify({ issuer: issuer.url, jwks_uri: `${other.url}/keys` }) }),
    ],
    ['names no keys', CONFIGURATION, () => ({ body: JSON.stringify({ issuer: issuer.url }) })],
    ['redirects', '/keys', () => ({ status: 302, headers: { Location: `${other.url}/keys` }, body: '' })],
    ['does not send JSON', '/keys', () => ({ body: '<html>' })],
    ['sends a list', '/keys', () => ({ body: '[]' })],
    ['sends more than 256 KiB', '/keys', () => ({ body: JSON.stringify({ keys: [], filler: 'x'.repeat(300_000) }) })],
  ] as const) {
    it(`refuses tokens of an issuer that ${title}`, async () => {
      issuer.answers.set(path, answer());
      const token = await issuer.token();
      await assert.rejects(
        new OidcIssuer({ issuer: issuer.url }).verify(token, ['registry']),
        ({ message, cause }: Error) => message.includes(issuer.url) && cause instanceof Error,
      );
      assert.equal(await logins().find(token), undefined);
    });
  }

  it('accepts keys from another host if jwks_uri names it', async () => {
    const elsewhere = new OidcIssuer({ issuer: issuer.url, jwksUri: `${issuer.url}/keys?x` });
    issuer.answers.set('/keys?x', { body: JSON.stringify(await (await fetch(`${issuer.url}/keys`)).json()) });
    assert.equal((await elsewhere.verify(await issuer.token(), ['registry'])).sub, 'repo:org/app:ref:refs/heads/main');
    assert.equal(issuer.asked.get(CONFIGURATION), undefined);
  });

  describe('is logged with the reason when it is refused:', () => {
    /** @returns the lines that the tokens leave */
    const refusals = async (
      tokens: readonly string[],
      rules = [rule({ repository: ['org/*'], ref: ['refs/heads/main'] })],
    ) => {
      const lines: string[] = [];
      const loud = new OidcLogins(
        rules,
        createLog('warning', (line) => lines.push(line) > 0),
      );
      for (const token of tokens) {
        assert.equal(await loud.find(token), undefined);
        const [, payload, signature] = token.split('.');
        for (const secret of [token, payload, signature]) {
          if (secret && secret.length > 5) assert.ok(!lines.join('').includes(secret), 'the token is in the log');
        }
      }
      return lines.map((line) => JSON.parse(line) as { level: string; mismatches: [Record<string, unknown>] });
    };
    const mismatches = async (token: string, rules?: ReturnType<typeof rule>[]) => {
      const lines = await refusals([token], rules);
      assert.equal(lines.length, 1);
      assert.equal(lines[0]?.level, 'warn');
      return lines[0]?.mismatches ?? [];
    };

    it('issuer', async () => {
      assert.deepEqual(await mismatches(await other.token()), [
        { part: 'issuer', expected: [issuer.url], found: other.url },
      ]);
    });

    it('audience', async () => {
      assert.deepEqual(await mismatches(await issuer.token({ aud: 'elsewhere', ref: 'refs/heads/main' })), [
        { part: 'audience', expected: ['registry'], found: 'elsewhere' },
      ]);
      assert.deepEqual(await mismatches(await issuer.token({ aud: undefined })), [
        { part: 'audience', expected: ['registry'] },
      ]);
    });

    it('only the claims that do not match', async () => {
      assert.deepEqual(await mismatches(await issuer.token({ repository: 'org/app', ref: 'refs/pull/1' })), [
        { part: 'claim', name: 'ref', expected: ['refs/heads/main'], found: 'refs/pull/1' },
      ]);
      assert.deepEqual(await mismatches(await issuer.token({ repository: ['a', { b: 1 }] })), [
        { part: 'claim', name: 'repository', expected: ['org/*'], found: ['a', '{"b":1}'] },
        { part: 'claim', name: 'ref', expected: ['refs/heads/main'] },
      ]);
    });

    it('the mismatches with each rule for the issuer', async () => {
      const rules = [rule({ repository: ['org/*'] }), { ...rule({ ref: ['x'] }), audience: 'second' }];
      assert.deepEqual(await mismatches(await issuer.token({ repository: 'else/where', ref: 'x' }), rules), [
        { part: 'claim', name: 'repository', expected: ['org/*'], found: 'else/where' },
        { part: 'audience', expected: 'second', found: 'registry' },
      ]);
    });

    it('expiry', async () => {
      const [mismatch] = await mismatches(await issuer.token({}, { expires: '-31s' }));
      assert.partialDeepStrictEqual(mismatch, { part: 'claim', name: 'exp' });
      assert.equal(mismatch?.expected, 'a time in the future');
      assert.match(String(mismatch?.found), /^20\d\d-.*Z$/);
    });

    for (const [title, make, expected] of [
      [
        'signature',
        async () => await issuer.token({}, { key: await generateKeyPair('RS256') }),
        { part: 'signature', found: '{"kid":"key-' },
      ],
      ['key', async () => await issuer.token({}, { kid: 'made-up' }), { part: 'keys', found: 'made-up' }],
      [
        'algorithm',
        async () =>
          await new SignJWT({ repository: 'org/app' })
            .setProtectedHeader({ alg: 'HS256', kid: 'key-0' })
            .setIssuer(issuer.url)
            .sign(createSecretKey(Buffer.alloc(32))),
        { part: 'algorithm', found: 'HS256' },
      ],
      ['form', async () => 'a password', { part: 'token' }],
      ['subject', async () => await issuer.token({ sub: '' }), { part: 'claim', name: 'sub' }],
    ] as const) {
      it(title, async () => {
        const [mismatch] = await mismatches(await make());
        const { found, ...rest }: Record<string, string> = expected;
        assert.partialDeepStrictEqual(mismatch, rest);
        assert.ok(String(mismatch?.found ?? '').startsWith(found ?? ''), JSON.stringify(mismatch));
        assert.equal(typeof mismatch?.expected, 'string');
      });
    }

    it('keys that cannot be fetched, with the answer of the issuer', async () => {
      issuer.answers.set('/keys', { status: 500, body: '' });
      const [mismatch] = await mismatches(await issuer.token());
      assert.match(String(mismatch?.found), /\/keys answers 500/);
    });

    it('once a minute for each reason, in at most ten bounded lines for a kind of reason', async (t) => {
      const wrong = await issuer.token({ aud: 'elsewhere' });
      const made = await Promise.all(
        Array.from({ length: 30 }, (_, i) => other.token({ iss: `${i}${'x'.repeat(900)}` })),
      );
      const lines = await refusals([...made, wrong, wrong, wrong]);
      const parts = lines.map(({ mismatches: [first] }) => first.part);
      assert.deepEqual(parts, [...Array(10).fill('issuer'), 'audience']);
      assert.ok(lines.every((line) => JSON.stringify(line).length < 1000));

      const loud: string[] = [];
      const one = new OidcLogins(
        [rule({})],
        createLog('warning', (line) => loud.push(line) > 0),
      );
      await one.find(wrong);
      await one.find(wrong);
      assert.equal(loud.length, 1);
      const later = performance.now() + 60_000;
      t.mock.method(performance, 'now', () => later);
      await one.find(wrong);
      assert.equal(loud.length, 2);
    });
  });

  describe('to a registry', () => {
    let storage: OpenedStorage;
    let server: RegistryServer;
    before(async () => {
      storage = await openFiles();
      const oidc = [
        { issuer: issuer.url, insecure: true, audience: 'registry', claims: { repository: 'org/*' }, groups: 'ci' },
      ];
      const access = [{ repositories: 'team/*', groups: 'ci', actions: ['pull', 'push'] }];
      const auth = await openTestAuth({ users: [], access, auth: { oidc } });
      server = await startRegistry(storage.driver, { auth });
    });
    after(async () => {
      await server.stop();
      await storage.close();
    });

    it('pushes where a rule allows its group to', async () => {
      const client = new V2Client(server.url, basic('oidc', await issuer.token()));
      await pushImage(client, 'team/app', 'latest', { contents: ['by CI'] });
      assert.equal((await client.send('POST', '/v2/other/app/blobs/uploads/')).status, 403);
      assert.equal((await client.send('DELETE', '/v2/team/app/manifests/latest')).status, 403);
    });

    it('is refused with a token that no rule matches', async () => {
      const client = new V2Client(server.url, basic('oidc', await issuer.token({ repository: 'elsewhere/app' })));
      assert.equal((await client.send('GET', '/v2/')).status, 401);
    });
  });
});
