import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { V1Tokens } from '../../../lib/auth/tokens/v1-tokens.ts';
import { parseV1RepositoryName, type RepositoryName } from '../../../lib/model/names.ts';
import { SigningKeys } from '../../../lib/model/signed-token.ts';

const HOUR_MS = 60 * 60 * 1000;
const ALICE = { subject: 'alice', passwordMark: 'of her password' };

describe('a v1 token', () => {
  const tokens = new V1Tokens(new SigningKeys('secret'));
  const repository = 'a/b' as RepositoryName;
  const issue = (name = repository, nowMs?: number) =>
    tokens.issue(name, 'write', { holder: ALICE, actions: ['pull', 'push'] }, nowMs);
  const credentialsOf = (token: string) => token.replace(/^Token /, '');

  it('has the form that docker-registry gave it', () => {
    assert.match(issue(), /^Token signature=[A-Za-z0-9_.-]+,repository="a\/b",access=write$/);
  });

  it('gives back its grant and its holder', () => {
    const grants = [{ repository: 'a/b', actions: ['pull', 'push'] }];
    const expected = { kind: 'token', subject: 'alice', grants, issuedTo: ALICE };
    assert.deepEqual(tokens.read(credentialsOf(issue())), expected);
    // Docker repeats the word Token in front of the parameters.
    assert.deepEqual(tokens.read(issue()), expected);
  });

  for (const name of ['a/b/c', 'library/x~ y', 'a/ü', 'a/50%']) {
    it(`is valid for the repository ${name}`, () => {
      const parsed = parseV1RepositoryName(name);
      assert.deepEqual(tokens.read(credentialsOf(issue(parsed)))?.grants, [
        { repository: name, actions: ['pull', 'push'] },
      ]);
    });
  }

  it('expires after six hours', () => {
    assert.ok(tokens.read(credentialsOf(issue(repository, Date.now() - 5.9 * HOUR_MS))));
    assert.equal(tokens.read(credentialsOf(issue(repository, Date.now() - 6.1 * HOUR_MS))), undefined);
  });

  it('is invalid with any part changed', () => {
    const token = credentialsOf(issue());
    const [, payload = ''] = /signature=([^.]+)\./.exec(token) ?? [];
    const other = Buffer.from(payload, 'base64url').toString().replace('alice', 'admin');
    for (const changed of [
      token.replace('a/b', 'a/c'),
      token.replace('write', 'delete'),
      token.replace(payload, Buffer.from(other).toString('base64url')),
      token.replace(/\.[^,]+/, '.'),
      token.replace(/\.[^,]+/, `.${'A'.repeat(43)}`),
      token.replace(/,access=.*/, ''),
      token.replace(/signature=[^,]+,/, ''),
      'signature=ABCDEFGHIJKLMNOP,repository="a/b",access=write',
      '',
    ]) {
      assert.equal(tokens.read(changed), undefined, changed);
    }
  });

  it('stays valid while its secret is listed as a previous one, and no longer', () => {
    const token = credentialsOf(issue());
    assert.ok(new V1Tokens(new SigningKeys('new', ['older', 'secret'])).read(token));
    assert.equal(new V1Tokens(new SigningKeys('new')).read(token), undefined);
  });
});
