import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { SignedTokens, SigningKeys } from '../../lib/model/signed-token.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const EXPIRES_SECONDS = NOW_MS / 1000 + 60;
const CLAIMS = { name: 'a "quoted" name', list: [1, 2] };

const keys = new SigningKeys('secret');
const tokens = new SignedTokens(keys, 'upload session');
const token = tokens.sign(CLAIMS, EXPIRES_SECONDS, ['a/b']);
const [payload = '', signature = ''] = token.split('.');

describe('a signed token', () => {
  it('gives back its claims, and holds no character that a URL or a header would change', () => {
    assert.deepEqual(tokens.verify(token, NOW_MS, ['a/b']), CLAIMS);
    assert.match(token, /^[A-Za-z0-9_.-]+$/);
  });

  it('is valid until the second in which it expires', () => {
    assert.deepEqual(tokens.verify(token, EXPIRES_SECONDS * 1000, ['a/b']), CLAIMS);
    assert.equal(tokens.verify(token, EXPIRES_SECONDS * 1000 + 1, ['a/b']), undefined);
  });

  it('is invalid for every other purpose', () => {
    for (const purpose of ['v1 token', 'access token', 'refresh token', 'catalog cursor'] as const) {
      assert.equal(new SignedTokens(keys, purpose).verify(token, NOW_MS, ['a/b']), undefined, purpose);
    }
  });

  it('is invalid in another context', () => {
    for (const context of [undefined, [], ['a/c'], ['a/b', ''], ['a', 'b']]) {
      assert.equal(tokens.verify(token, NOW_MS, context), undefined, JSON.stringify(context));
    }
  });

  it('stays valid while its secret is listed as a previous one, and no longer', () => {
    const rotated = new SigningKeys('new', ['older', 'secret']);
    assert.deepEqual(new SignedTokens(rotated, 'upload session').verify(token, NOW_MS, ['a/b']), CLAIMS);
    assert.equal(new SignedTokens(new SigningKeys('new'), 'upload session').verify(token, NOW_MS, ['a/b']), undefined);
  });

  for (const [title, changed] of [
    ['an empty signature', `${payload}.`],
    ['no signature', payload],
    ['a signature that is cut short', token.slice(0, -4)],
    ['a longer signature', `${token}AAAA`],
    ['the signature of other claims', `${payload}.${tokens.sign({}, EXPIRES_SECONDS, ['a/b']).split('.')[1]}`],
    ['other claims', `${Buffer.from('{"exp":9999999999}').toString('base64url')}.${signature}`],
    ['nothing', ''],
  ] as const) {
    it(`is invalid with ${title}`, () => assert.equal(tokens.verify(changed, NOW_MS, ['a/b']), undefined));
  }

  for (const [title, json] of [
    ['has no expiry', '{}'],
    ['has an expiry that is not a number', '{"exp":"9999999999"}'],
    ['is not an object', '[9999999999]'],
    ['is not JSON', 'exp'],
  ] as const) {
    it(`is invalid if its payload ${title}, although it is signed`, () => {
      const signed = (text: string) => {
        const encoded = Buffer.from(text).toString('base64url');
        const mac = createHmac('sha256', keys.signing('upload session')).update(JSON.stringify([encoded]));
        return `${encoded}.${mac.digest('base64url')}`;
      };
      assert.deepEqual(tokens.verify(signed('{"exp":9999999999}'), NOW_MS), {}, 'the test signs correctly');
      assert.equal(tokens.verify(signed(json), NOW_MS), undefined);
    });
  }

  it('is invalid if it has more than 32 KiB of characters', () => {
    const text = (length: number) => tokens.sign({ text: 'x'.repeat(length) }, EXPIRES_SECONDS);
    assert.ok(tokens.verify(text(24_000), NOW_MS));
    assert.equal(tokens.verify(text(24_600), NOW_MS), undefined);
  });
});

describe('a signing key', () => {
  it('has 32 bytes and differs by secret and by purpose', () => {
    const all = ['secret', 'another'].flatMap((secret) => {
      const derived = new SigningKeys(secret);
      return (['upload session', 'v1 token', 'access token'] as const).map((purpose) => derived.signing(purpose));
    });
    assert.deepEqual(new Set(all.map(({ length }) => length)), new Set([32]));
    assert.equal(new Set(all.map((key) => Buffer.from(key).toString('hex'))).size, all.length);
  });

  it('is the first of those that are accepted', () => {
    const rotated = new SigningKeys('new', ['old']);
    assert.deepEqual(rotated.accepted('v1 token'), [
      rotated.signing('v1 token'),
      new SigningKeys('old').signing('v1 token'),
    ]);
  });
});
