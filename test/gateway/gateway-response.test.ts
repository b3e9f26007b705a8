import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gatewayResponse } from './gateway-response.ts';
import { readRestApi } from './rest-api.ts';
import { readStack, SOURCE_TEMPLATE } from './template.ts';

const api = readRestApi(readStack(SOURCE_TEMPLATE, { parameters: {} }));

describe('what the gateway answers where a function fails or is throttled', () => {
  for (const type of ['AUTHORIZER_FAILURE', 'AUTHORIZER_CONFIGURATION_ERROR', 'INTEGRATION_FAILURE'] as const) {
    it(`${type}: 503, and when to come again`, () => {
      const { status, headers, body } = gatewayResponse(api, type);
      assert.equal(status, 503);
      assert.equal(headers['retry-after'], '5');
      const { error, errors } = JSON.parse(String(body)) as { error: string; errors: { code: string }[] };
      assert.equal(errors[0]?.code, 'UNAVAILABLE');
      assert.equal(typeof error, 'string');
    });
  }
});
