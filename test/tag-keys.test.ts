import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { layout, parseTagKey } from '../lib/layout.ts';
import { parseRepositoryName, parseTag } from '../lib/names.ts';

describe('the key of a tag', () => {
  for (const [name, tag] of [
    ['app', 'latest'],
    ['a/b/c', 'v1.0'],
    ['a/b__c/d', '_x'],
  ] as const) {
    test(`tells ${name}:${tag} again`, () => {
      const repository = parseRepositoryName(name);
      assert.deepEqual(parseTagKey(layout.tag(repository, parseTag(tag))), { repository, tag });
    });
  }

  for (const key of [
    'repositories/a/b/_index_images',
    'repositories/a/b/taglatest_json',
    'repositories/a/tag_x',
    'oci/repositories/a/b/tag_x',
    'images/tag_x/tag_x/tag_x',
    'repositories/a/b%zz/tag_x',
  ]) {
    test(`is not ${key}`, () => assert.equal(parseTagKey(key), undefined));
  }
});
