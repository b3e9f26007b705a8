// What Lambda asks of a Web Function that it does not ask of other functions.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SESSION_SECRET, USERS } from './deployment.ts';
import { environmentVariablesOf, readPushEndpointStack, webFunctionOf } from './push-endpoint.ts';
import { readStack, SOURCE_TEMPLATE, type Stack } from './template.ts';

const HOST = { RegistryHost: 'registry.example.com' };

function nestedWith(parameters: Record<string, string>): Stack {
  const stack = readStack(SOURCE_TEMPLATE, {
    parameters: { BucketName: 'acme-images', ...parameters },
    known: { SessionSecret: SESSION_SECRET, Users: USERS, 'PushEndpointStack.Outputs.Url': 'https://push.example.com' },
  });
  return readPushEndpointStack(stack) ?? assert.fail('the stack has no push endpoint');
}

describe('the environment of the Web Function', () => {
  for (const [title, parameters, names] of [
    ['the defaults', {}, []],
    ['a host', HOST, ['PUBLIC_URL']],
    ['anonymous pull', { ...HOST, Access: 'anonymous-pull' }, ['ACCESS', 'PUBLIC_URL']],
    ['CloudFront', { ...HOST, Edge: 'cloudfront', EdgeKey: 'abcdefgh12345678' }, ['EDGE_KEY', 'PUBLIC_URL']],
  ] as const) {
    test(`holds no empty value with ${title}`, () => {
      const given = Object.keys(environmentVariablesOf(nestedWith(parameters)));
      const optional = given.filter((name) => ['ACCESS', 'EDGE_KEY', 'PUBLIC_URL'].includes(name));
      assert.deepEqual(optional.sort(), names);
    });
  }

  for (const value of ['', 'x'.repeat(4097)]) {
    test(`of ${value.length} characters is refused, as the schema of the resource does`, () => {
      const nested = nestedWith({});
      Object.assign(webFunctionOf(nested).properties, { EnvironmentVariables: { ACCESS: value } });
      assert.throws(() => environmentVariablesOf(nested), /ACCESS .* 1 to 4,096 characters/);
    });
  }
});
