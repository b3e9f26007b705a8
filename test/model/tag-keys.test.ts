import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Key, layout, type ManifestPath, parseImageRecord, parseTagKey } from '../../lib/model/layout.ts';
import {
  parseDigest,
  parseImageId,
  parseRepositoryName,
  parseTag,
  parseV1Tag,
  sha256Digest,
} from '../../lib/model/names.ts';

describe('the key of a tag', () => {
  for (const [name, tag] of [
    ['app', 'latest'],
    ['a/b/c', 'v1.0'],
    ['a/b__c/d', '_x'],
  ] as const) {
    test(`is parsed back to ${name}:${tag}`, () => {
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

describe('the key of an image record', () => {
  const id = parseImageId('0'.repeat(64));

  for (const name of ['app', 'a/b/c']) {
    const repository = parseRepositoryName(name);
    for (const imageKind of ['pushed', 'projection'] as const) {
      test(`is parsed back to a grant of ${name} by a tag, ${imageKind}`, () => {
        for (const [tag, top] of [
          ['latest', id],
          ['_x', parseImageId('0123456789abcdef')],
          ['t'.repeat(247), id],
          ['a b~ü', id],
        ] as const) {
          const by = { tag: parseV1Tag(tag), top };
          const record = parseImageRecord(layout.tagGrant(id, imageKind, repository, by));
          assert.deepEqual(record, { kind: 'grant', grant: { imageKind, repository, by } });
        }
      });
      test(`is parsed as an outdated grant of version 0.1.0 for ${name}, ${imageKind}`, () => {
        const record = parseImageRecord(layout.outdatedGrant(id, imageKind, repository));
        assert.deepEqual(record, { kind: 'outdated grant', imageKind });
      });
    }
    test(`is parsed back to a grant of ${name} by manifests`, () => {
      const digests = [sha256Digest('1'.repeat(64)), sha256Digest('2'.repeat(64))] as const;
      const long = parseDigest(`sha512:${'3'.repeat(128)}`);
      for (const by of [[digests[0]], [digests[0], digests[1]], [digests[0], long]] satisfies ManifestPath[]) {
        const record = parseImageRecord(layout.manifestGrant(id, repository, by));
        assert.deepEqual(record, { kind: 'grant', grant: { imageKind: 'projection', repository, by } });
      }
    });
  }

  test('is no grant without an image or a manifest at its end, nor for a pushed image by a manifest', () => {
    const hex = '1'.repeat(64);
    for (const rest of [
      'view/a%2Fb/x',
      `view/a%2Fb/${hex}.x`,
      `view/a%2Fb/${hex}/${hex}`,
      'view/a%2Fb/tag_x/y',
      `view/a%2Fb/tag_/${hex}`,
      `repositories/a%2Fb/${hex}`,
      `repositories/a%zz/tag_x/${hex}`,
    ]) {
      assert.equal(parseImageRecord(`oci/images/${id}/${rest}` as Key), undefined, rest);
    }
  });

  test('is parsed as a pusher record or a projection record', () => {
    assert.deepEqual(parseImageRecord(layout.pusherRecord(id, 'f0.f1')), { kind: 'pusher', pusherId: 'f0.f1' });
    assert.deepEqual(parseImageRecord(layout.projectionRecord(id)), { kind: 'projection' });
  });

  test('differs from the keys of layer descriptor and conversion', () => {
    assert.equal(parseImageRecord(layout.imageLayerDescriptor(id)), undefined);
    assert.equal(parseImageRecord(layout.conversion(id)), undefined);
  });

  test('sorts before the projection record if it is a grant to a pushed image', () => {
    const repository = parseRepositoryName('z/z');
    const by = { tag: parseV1Tag('z'), top: id };
    for (const key of [layout.tagGrant(id, 'pushed', repository, by), layout.pusherRecord(id, 'f0')]) {
      assert.ok(key < layout.projectionRecord(id), 'a reader of the list in its order sees it at last');
    }
  });
});
