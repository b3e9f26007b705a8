import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { layout, parseImageMark, parseTagKey } from '../lib/layout.ts';
import { parseImageId, parseRepositoryName, parseTag } from '../lib/names.ts';

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

describe('the key of a mark beside an image', () => {
  const id = parseImageId('0'.repeat(64));

  for (const name of ['app', 'a/b/c']) {
    const repository = parseRepositoryName(name);
    test(`tells ${name} again`, () => {
      assert.deepEqual(parseImageMark(layout.imageOwner(id, repository)), { kind: 'owner', repository });
      assert.deepEqual(parseImageMark(layout.viewOwner(id, repository)), { kind: 'viewOwner', repository });
    });
  }

  test('tells who has pushed the image, and that it is a view', () => {
    assert.deepEqual(parseImageMark(layout.imagePusher(id, 'f0.f1')), { kind: 'pusher', mark: 'f0.f1' });
    assert.deepEqual(parseImageMark(layout.imageView(id)), { kind: 'view' });
  });

  test('is not that of what is known of the image', () => {
    assert.equal(parseImageMark(layout.imageLayerDescriptor(id)), undefined);
    assert.equal(parseImageMark(layout.imageManifest(id)), undefined);
  });

  test('comes before the one that says that it is a view, if it counts for no view', () => {
    const repository = parseRepositoryName('z/z');
    for (const key of [layout.imageOwner(id, repository), layout.imagePusher(id, 'f0')]) {
      assert.ok(key < layout.imageView(id), 'whoever reads them in order sees it at last');
    }
  });
});
