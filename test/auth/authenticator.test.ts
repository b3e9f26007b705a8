import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Authenticator } from '../../lib/auth/authenticator.ts';
import { hashPassword, isPassword } from '../../lib/auth/passwords/bcrypt.ts';
import { PasswordLogins } from '../../lib/auth/passwords/password-logins.ts';
import { Users } from '../../lib/auth/passwords/users.ts';
import { AccessTokens } from '../../lib/auth/tokens/access-tokens.ts';
import { Robots } from '../../lib/auth/tokens/robots.ts';
import { V1Tokens } from '../../lib/auth/tokens/v1-tokens.ts';
import { RegistryError } from '../../lib/model/errors.ts';
import { createLog } from '../../lib/model/log.ts';
import { SigningKeys } from '../../lib/model/signed-token.ts';
import { FilesDriver } from '../../lib/storage/files.ts';
import { MemorySource } from './passwords/memory-source.ts';

const COST = 4;

const keys = new SigningKeys('secret');
const robots = new Robots(await FilesDriver.open(await mkdtemp(join(tmpdir(), 'stowage-auth-'))));
const OTHERS = { v1Tokens: new V1Tokens(keys), accessTokens: new AccessTokens(keys), robots };

async function open(passwords: Record<string, string>, cost = COST) {
  const lines: string[] = [];
  const source = new MemorySource(await htpasswdOf(passwords, cost));
  const users = await Users.open(
    source,
    createLog('debug', (line) => lines.push(line) > 0),
  );
  const groups = { devs: ['alice', 'bob'], ops: ['alice'] };
  const compared: string[] = [];
  const compare = (password: string, hash: string) => {
    compared.push(password);
    return isPassword(password, hash);
  };
  return {
    source,
    lines,
    compared,
    authenticator: new Authenticator({ passwords: new PasswordLogins(users, compare), groups, ...OTHERS }),
  };
}

async function htpasswdOf(passwords: Record<string, string>, cost = COST): Promise<string> {
  const lines = Object.entries(passwords).map(
    async ([name, password]) => `${name}:${await hashPassword(password, cost)}`,
  );
  return (await Promise.all(lines)).join('\n');
}

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

const isCode = (code: string) => (error: unknown) => error instanceof RegistryError && error.code === code;

describe('the caller of a request', () => {
  it('is a user with a correct password, in the configured groups', async () => {
    const { authenticator } = await open({ alice: 'a:b', bob: 'x' });
    assert.deepEqual(await authenticator.authenticate(basic('alice:a:b')), {
      kind: 'user',
      name: 'alice',
      groups: ['devs', 'ops'],
    });
    assert.deepEqual(await authenticator.authenticate(basic('bob:x').replace('Basic', 'bAsIc  ')), {
      kind: 'user',
      name: 'bob',
      groups: ['devs'],
    });
  });

  for (const [title, authorization] of [
    ['no header', undefined],
    ['an empty header', ''],
    ['the empty login of Docker up to 1.5 (Og==)', 'Basic Og=='],
    ['the bare word Token of old Docker', 'Token'],
  ] as const) {
    it(`is anonymous with ${title}`, async () => {
      const { authenticator } = await open({ alice: 'a' });
      assert.deepEqual(await authenticator.authenticate(authorization), { kind: 'anonymous' });
    });
  }

  for (const [title, authorization] of [
    ['a wrong password', basic('alice:b')],
    ['an empty password', basic('alice:')],
    ['a password of another user', basic('alice:x')],
    ['an unknown user', basic('eve:a')],
    ['the name of a property of every object', basic('constructor:a')],
    ['no name', basic(':a')],
    ['no colon', basic('alice')],
    ['no base64', 'Basic ###'],
    ['no credentials', 'Basic'],
    ['an unknown scheme', 'Negotiate abc'],
  ] as const) {
    it(`is refused, not anonymous, with ${title}`, async () => {
      const { authenticator } = await open({ alice: 'a', bob: 'x' });
      await assert.rejects(authenticator.authenticate(authorization), isCode('UNAUTHORIZED'));
    });
  }

  it('gets the same refusal after the same time for an unknown user as for a wrong password', async () => {
    const { authenticator } = await open({ alice: 'a' }, 10);
    const refusal = async (authorization: string) => {
      const started = performance.now();
      const error = await authenticator.authenticate(authorization).catch((thrown: unknown) => thrown as Error);
      return { message: 'message' in error ? error.message : '', ms: performance.now() - started };
    };
    await refusal(basic('warm:up'));
    const wrong: number[] = [];
    const unknown: number[] = [];
    for (let i = 0; i < 5; i++) {
      const [one, other] = [await refusal(basic('alice:wrong')), await refusal(basic('mallory:wrong'))];
      assert.equal(other.message, one.message);
      wrong.push(one.ms);
      unknown.push(other.ms);
    }
    // Both compute bcrypt once; without it an answer takes less than a hundredth. The fastest of each has met no other load.
    const ratio = Math.min(...unknown) / Math.min(...wrong);
    assert.ok(ratio > 1 / 4 && ratio < 4, `${unknown} and ${wrong} ms`);
  });

  it('has a correct password compared once, also in simultaneous requests', async () => {
    const { authenticator, compared } = await open({ alice: 'a' });
    const login = () => authenticator.authenticate(basic('alice:a'));
    await Promise.all(Array.from({ length: 500 }, login));
    await login();
    assert.equal(compared.length, 1);
  });

  it('is refused after the password was changed or the user removed', async () => {
    const { authenticator, source } = await open({ alice: 'old', bob: 'x' });
    await authenticator.authenticate(basic('alice:old'));
    await authenticator.authenticate(basic('bob:x'));
    source.text = await htpasswdOf({ alice: 'new' });
    await assert.rejects(authenticator.authenticate(basic('alice:old')), isCode('UNAUTHORIZED'));
    await assert.rejects(authenticator.authenticate(basic('bob:x')), isCode('UNAUTHORIZED'));
    assert.equal((await authenticator.authenticate(basic('alice:new'))).kind, 'user');
  });

  it('is still known while the users cannot be read, and the log says so once', async () => {
    const { authenticator, source, lines } = await open({ alice: 'a' });
    source.fails = true;
    for (let i = 0; i < 3; i++) assert.equal((await authenticator.authenticate(basic('alice:a'))).kind, 'user');
    const told = lines.filter((line) => /cannot be read again/.test(line));
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /"level":"error"/);
    source.fails = false;
    await authenticator.authenticate(basic('alice:a'));
    assert.match(lines.at(-1) ?? '', /can be read again/);
  });

  it('users that cannot be read twice in a row are not current until they are read again', async () => {
    const { authenticator, source } = await open({ alice: 'a' });
    assert.equal(await authenticator.areUsersCurrent(), true);
    source.fails = true;
    assert.equal(await authenticator.areUsersCurrent(), true, 'a single failure');
    assert.equal(await authenticator.areUsersCurrent(), false);
    source.fails = false;
    assert.equal(await authenticator.areUsersCurrent(), true);
  });

  it('is a robot despite guesses at users from its address, and a known robot despite made-up ones', async () => {
    const { authenticator } = await open({ alice: 'a' });
    const make = async () =>
      await robots.create({ name: 'ci', repositories: ['*'], actions: ['pull'], expiresAt: undefined });
    const login = async (name: string, password: string) =>
      await authenticator
        .login(name, password, '192.0.2.1')
        .then(({ kind }) => kind)
        .catch((error: unknown) => (error instanceof RegistryError ? error.code : error));
    const [first, second] = [await make(), await make()];
    for (let i = 0; i < 31; i++) await login(`user${i}`, 'guess');
    assert.equal(await login('alice', 'a'), 'TOOMANYREQUESTS');
    assert.equal(await login('robot', first.token), 'token');
    for (let i = 0; i < 31; i++) await login('robot', `${second.token.slice(0, -4)}${1000 + i}`);
    assert.equal(await login('robot', first.token), 'token');
    assert.equal(await login('robot', second.token), 'TOOMANYREQUESTS');
    await robots.revoke(first.robot.id);
    assert.equal(await login('robot', first.token), 'UNAUTHORIZED');
    assert.equal(await login('robot', first.token), 'TOOMANYREQUESTS');
  });

  it('is remembered during a flood of wrong logins, most of which get 429', async () => {
    const { authenticator } = await open({ alice: 'a' }, 8);
    await authenticator.authenticate(basic('alice:a'));
    const flood = Array.from({ length: 200 }, async (_, index) => {
      const error = await authenticator.authenticate(basic(`alice:${index}`)).catch((thrown: unknown) => thrown);
      return error instanceof RegistryError ? error.code : 'none';
    });
    assert.equal((await authenticator.authenticate(basic('alice:a'))).kind, 'user');
    const codes = await Promise.all(flood);
    assert.deepEqual(new Set(codes), new Set(['UNAUTHORIZED', 'TOOMANYREQUESTS']));
    assert.ok(codes.filter((code) => code === 'UNAUTHORIZED').length <= 40);
  });
});
