import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseV1RepositoryName, parseV1Tag } from '../../lib/model/names.ts';

describe('names of v1, which had no rules', () => {
  for (const name of ['..\\..\\/app', 'app/..\\x', 'a\\b/app', '../app', 'a/..', 'a/\u0001']) {
    test(`a repository ${JSON.stringify(name)} is refused: no key can hold it everywhere`, () => {
      assert.throws(() => parseV1RepositoryName(name), { code: 'NAME_INVALID' });
    });
  }

  for (const tag of ['..\\x', 'a/b', 'a\u007f', '']) {
    test(`a tag ${JSON.stringify(tag)} is refused`, () => {
      assert.throws(() => parseV1Tag(tag), { code: 'TAG_INVALID' });
    });
  }

  test('what docker-registry took otherwise is taken', () => {
    assert.equal(parseV1RepositoryName('App with spaces/~é'), 'App with spaces/~é');
    assert.equal(parseV1Tag('..'), '..');
  });
});
