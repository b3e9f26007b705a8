import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isJsonObject, type JsonObject, type JsonValue } from '../../lib/model/json.ts';
import { type Key, layout } from '../../lib/model/layout.ts';
import type { Digest, ImageId, RepositoryName } from '../../lib/model/names.ts';
import { readPushEndpointStack, roleOf } from './push-endpoint.ts';
import { invokedFunctions, readableSecrets, statementsOf } from './role.ts';
import { type Resource, readStack, SOURCE_TEMPLATE } from './template.ts';

const PREFIX = 'registry/';
const BUCKET = 'images';
const stack = readStack(SOURCE_TEMPLATE, {
  parameters: { BucketName: BUCKET, StoragePath: PREFIX },
});
const resource = (id: string): Resource => stack.resources.get(id) ?? assert.fail(`there is no ${id}`);
const nested = readPushEndpointStack(stack) ?? assert.fail('there is no push endpoint');

const listOf = (value: JsonValue | undefined): JsonValue[] => (Array.isArray(value) ? value : [value ?? null]);

/** Whether one of the statements allows it. `*` stands for any characters, slashes too, as IAM has it. */
function allows(statements: readonly JsonObject[], action: string, arn: string): boolean {
  const matches = (pattern: JsonValue) =>
    new RegExp(
      `^${String(pattern)
        .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
        .replaceAll('*', '.*')}$`,
    ).test(arn);
  return statements.some(
    ({ Effect, Action, Resource: resources }) =>
      Effect === 'Allow' && listOf(Action).includes(action) && listOf(resources).some(matches),
  );
}

const object = (key: string) => `arn:aws:s3:::${BUCKET}/${PREFIX}${key}`;

describe('the roles of the functions', () => {
  for (const [name, role] of [
    ['the API', resource('RequestHandler')],
    ['the push endpoint', roleOf(nested)],
  ] as const) {
    const statements = statementsOf(role);
    it(`${name} writes what pushes need`, () => {
      for (const key of ['images/x/json', 'repositories/a/b/tag_x', 'oci/blobs/sha256/x', 'oci/repositories/a/b/x']) {
        assert.ok(allows(statements, 's3:PutObject', object(key)), key);
      }
    });
    it(`${name} can neither make a robot's rights nor change the layout`, () => {
      for (const key of ['oci/robots/x.json', 'oci/layout.json', 'oci/gc/x']) {
        for (const action of ['s3:PutObject', 's3:DeleteObject']) {
          assert.ok(!allows(statements, action, object(key)), `${action} ${key}`);
        }
      }
    });
    it(`${name} deletes no bytes`, () => {
      for (const key of ['oci/blobs/sha256/x', 'oci/data/x']) {
        assert.ok(!allows(statements, 's3:DeleteObject', object(key)), key);
      }
    });
  }

  it('the projection worker writes what lies beside tags, and no tag', () => {
    const statements = statementsOf(resource('ProjectionWorker'));
    for (const action of ['s3:PutObject', 's3:DeleteObject']) {
      for (const key of ['_index_images', 'json', 'taglatest_json']) {
        assert.ok(allows(statements, action, object(`repositories/a/b/${key}`)), `${action} ${key}`);
      }
      for (const key of [
        'repositories/a/b/tag_latest',
        'oci/repositories/a/b/manifests/sha256/x',
        'oci/robots/x.json',
      ]) {
        assert.ok(!allows(statements, action, object(key)), `${action} ${key}`);
      }
    }
  });

  it('the projection worker deletes what an earlier attempt described otherwise, and no other record of an image', () => {
    const statements = statementsOf(resource('ProjectionWorker'));
    const [id, layer] = ['a'.repeat(64) as ImageId, `sha256:${'b'.repeat(64)}` as Digest];
    const content = { layer, jsonSum: 'c'.repeat(32), ancestrySum: 'd'.repeat(32) };
    const mayDelete = (key: Key) => allows(statements, 's3:DeleteObject', object(key));
    assert.ok(mayDelete(layout.describingGrant(id, 'a/b' as RepositoryName, [layer], content)));
    for (const key of [layout.imageCell(id), layout.projectionRecord(id), layout.imageBlob(id, layer)]) {
      assert.ok(!mayDelete(key), key);
    }
  });

  describe('of the pages', () => {
    const statements = statementsOf(resource('Ui'));
    const may = (action: 's3:PutObject' | 's3:DeleteObject', key: string) => allows(statements, action, object(key));

    it('sets and deletes tags, and writes their history and facts', () => {
      for (const action of ['s3:PutObject', 's3:DeleteObject'] as const) {
        for (const key of ['tag_latest', 'taglatest_json']) assert.ok(may(action, `repositories/a/b/${key}`), key);
      }
      assert.ok(may('s3:PutObject', 'repositories/a/b/json'), 'what is recorded of latest');
      for (const key of ['history/latest/x', 'facts/sha256-x/y', 'manifests/sha256/x', 'blobs/sha256/x'])
        assert.ok(may('s3:PutObject', `oci/repositories/a/b/${key}`), key);
    });

    it('stores the conversion of an image that a v1 client pushed', () => {
      for (const key of ['oci/images/x/manifest.json', 'oci/blobs/sha256/x', 'oci/data/x'])
        assert.ok(may('s3:PutObject', key), key);
    });

    it('deletes nothing but tags', () => {
      for (const key of [
        'images/x/layer',
        'repositories/a/b/json',
        'repositories/a/b/_index_images',
        'oci/blobs/sha256/x',
        'oci/data/x',
        'oci/images/x/manifest.json',
        'oci/repositories/a/b/manifests/sha256/x',
        'oci/repositories/a/b/history/latest/x',
        'oci/uploads/x',
      ]) {
        assert.ok(!may('s3:DeleteObject', key), key);
      }
    });

    it('gives no rights, and changes nothing that belongs to the collector or to pushes', () => {
      for (const key of [
        'oci/robots/x.json',
        'oci/layout.json',
        'oci/gc/state.json',
        'oci/usage.json',
        'oci/uploads/x',
        'images/x/layer',
        'repositories/a/b/_private',
        'oci/repositories/a/b/summary.json',
      ]) {
        for (const action of ['s3:PutObject', 's3:DeleteObject'] as const)
          assert.ok(!may(action, key), `${action} ${key}`);
      }
    });

    it('reads no other secrets, and calls no function', () => {
      assert.equal(readableSecrets(statements).length, 2);
      assert.deepEqual(invokedFunctions(statements), []);
    });
  });

  it('the collector alone deletes bytes, and gives no rights', () => {
    const statements = statementsOf(resource('Collector'));
    for (const key of ['oci/blobs/sha256/x', 'oci/data/x', 'images/x/layer', 'repositories/a/b/tag_x']) {
      assert.ok(allows(statements, 's3:DeleteObject', object(key)), key);
    }
    for (const key of ['oci/data/x', 'images/x/layer', 'oci/robots/x.json']) {
      assert.ok(!allows(statements, 's3:PutObject', object(key)), key);
    }
    for (const action of ['s3:PutObject', 's3:DeleteObject']) {
      assert.ok(!allows(statements, action, object('oci/robots/x.json')), action);
    }
  });

  it('the authorizer lists robots alone', () => {
    const lists = statementsOf(resource('Authorizer')).filter(({ Action }) => listOf(Action).includes('s3:ListBucket'));
    assert.deepEqual(
      lists.map(({ Condition }) => isJsonObject(Condition ?? null) && (Condition as JsonObject).StringLikeIfExists),
      [{ 's3:prefix': [`${PREFIX}oci/robots/*`] }],
    );
  });
});
