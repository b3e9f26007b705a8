// infra/edge.yaml: where CloudFront would send which path.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EDGE_HEADER } from '../../functions/edge.ts';
import type { JsonObject } from '../../lib/model/json.ts';
import { objectOf, readStack } from './template.ts';

const configWith = (PagesHost: string) => {
  const stack = readStack(join(import.meta.dirname, '../../infra/edge.yaml'), {
    parameters: {
      RegistryHost: 'registry.example.com',
      CertificateArn: 'arn:aws:acm:us-east-1:123456789012:certificate/x',
      ApiHost: 'abc123.execute-api.eu-west-1.amazonaws.com',
      PushEndpointHost: 'push.example.com',
      PagesHost,
      EdgeKey: 'abcdefgh12345678',
    },
  });
  return objectOf(stack.resources.get('Distribution')?.properties.DistributionConfig ?? null, 'config');
};
const config = configWith('def456.execute-api.eu-west-1.amazonaws.com');
const behaviorsOf = ({ CacheBehaviors, DefaultCacheBehavior }: JsonObject) => [
  ...(CacheBehaviors as JsonObject[]),
  DefaultCacheBehavior as JsonObject,
];
const behaviors = behaviorsOf(config);

/** The first that matches, and the default for the rest; `*` is any number of characters, `/` among them. */
function behaviorOf(path: string): JsonObject {
  const matches = ({ PathPattern: pattern }: JsonObject) =>
    typeof pattern !== 'string' ||
    new RegExp(
      `^${pattern
        .split('*')
        .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
        .join('.*')}$`,
    ).test(path);
  return behaviors.find(matches) ?? assert.fail(path);
}

describe('the edge', () => {
  for (const [path, origin] of [
    ['/v2/', 'api'],
    ['/v2/_token', 'api'],
    ['/v2/a/b/manifests/latest', 'api'],
    ['/v2/a/b/blobs/sha256:abc', 'api'],
    ['/v2/app/blobs/uploads/', 'push-endpoint'],
    ['/v2/a/b/blobs/uploads/3e7c', 'push-endpoint'],
    ['/v1/images/abc/layer', 'push-endpoint'],
    ['/v1/images/abc/json', 'api'],
    ['/v1/repositories/a/b/', 'api'],
    ['/', 'pages'],
    ['/ui', 'pages'],
    ['/ui/', 'pages'],
    ['/ui/r/team/api:1.0', 'pages'],
    ['/v2/ui/manifests/latest', 'api'],
    ['/uinothing', 'api'],
  ] as const) {
    test(`sends ${path} to the ${origin}`, () => assert.equal(behaviorOf(path).TargetOriginId, origin));
  }

  test('leads nowhere else without pages', () => {
    const without = configWith('');
    const named = ({ CacheBehaviors, Origins }: JsonObject) =>
      [CacheBehaviors, Origins].map((list) => (list as JsonObject[]).length);
    assert.deepEqual(named(without), [2, 2]);
    assert.deepEqual(named(config), [5, 3]);
    assert.ok(behaviorsOf(without).every(({ TargetOriginId }) => TargetOriginId !== 'pages'));
  });

  test('shows its key to all, so that they know what comes from it', () => {
    const key = [{ HeaderName: 'X-Stowage-Edge', HeaderValue: 'abcdefgh12345678' }];
    for (const origin of config.Origins as JsonObject[]) assert.deepEqual(origin.OriginCustomHeaders, key);
    assert.equal(key[0]?.HeaderName.toLowerCase(), EDGE_HEADER);
  });

  test('lets every method through, and keeps nothing', () => {
    for (const behavior of behaviors) {
      assert.deepEqual(
        new Set(behavior.AllowedMethods as string[]),
        new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'POST', 'DELETE']),
      );
      assert.equal(behavior.CachePolicyId, '4135ea2d-6df8-44a3-9df3-4b5a84be39ad');
      assert.equal(behavior.OriginRequestPolicyId, 'b689b0a8-53d0-40ab-baf2-68738e2966ac');
    }
  });

  // By default CloudFront keeps them for ten seconds, and a tag that was just pushed would be 404 that long.
  test('keeps no error either', () => {
    const seconds = (config.CustomErrorResponses as JsonObject[] | undefined)?.map((response) => [
      response.ErrorCode,
      response.ErrorCachingMinTTL,
    ]);
    assert.deepEqual(
      seconds,
      [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504].map((status) => [status, 0]),
    );
  });
});
