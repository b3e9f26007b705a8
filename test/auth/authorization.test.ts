import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAuthorization, tokenParameters } from '../../lib/auth/callers/authorization.ts';

describe('Authorization', () => {
  it('is a scheme in any case, and credentials that may be missing', () => {
    assert.deepEqual(parseAuthorization(undefined), { scheme: '', credentials: '' });
    assert.deepEqual(parseAuthorization('  '), { scheme: '', credentials: '' });
    assert.deepEqual(parseAuthorization('TOKEN'), { scheme: 'token', credentials: '' });
    assert.deepEqual(parseAuthorization('BaSiC  \tabc '), { scheme: 'basic', credentials: 'abc' });
  });

  it('of v1 has parameters with or without quotes, with = or :, and the word Token in front', () => {
    const text = 'Token signature=abc,repository="team/app",access:write,nothing,empty=,quoted=""';
    assert.deepEqual(
      [...tokenParameters(text)],
      [
        ['signature', 'abc'],
        ['repository', 'team/app'],
        ['access', 'write'],
      ],
    );
    assert.deepEqual([...tokenParameters('')], []);
  });
});
