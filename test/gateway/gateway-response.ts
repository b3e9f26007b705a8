// What the gateway answers by itself.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
import { randomUUID } from 'node:crypto';
import type { Answer } from './answer.ts';
import type { RestApi } from './rest-api.ts';

type Default = { status: number; message: string; errorType: string };

/** What it is without the template's say; the messages are those that have been seen. */
const DEFAULTS = {
  UNAUTHORIZED: { status: 401, message: 'Unauthorized', errorType: 'UnauthorizedException' },
  ACCESS_DENIED: {
    status: 403,
    message: 'User is not authorized to access this resource',
    errorType: 'AccessDeniedException',
  },
  AUTHORIZER_CONFIGURATION_ERROR: {
    status: 500,
    message: 'Internal server error',
    errorType: 'AuthorizerConfigurationException',
  },
  AUTHORIZER_FAILURE: { status: 500, message: 'Internal server error', errorType: 'AuthorizerFailureException' },
  INTEGRATION_FAILURE: { status: 502, message: 'Internal server error', errorType: 'InternalServerErrorException' },
  INTEGRATION_TIMEOUT: {
    status: 504,
    message: 'Endpoint request timed out',
    errorType: 'InternalServerErrorException',
  },
  // https://github.com/monken/aws-ecr-public/issues/1: also for a method that a path does not have.
  MISSING_AUTHENTICATION_TOKEN: {
    status: 403,
    message: 'Missing Authentication Token',
    errorType: 'MissingAuthenticationTokenException',
  },
  BAD_REQUEST: { status: 400, message: 'Bad Request', errorType: 'BadRequestException' },
  URI_TOO_LONG: { status: 414, message: 'Request-URI Too Long', errorType: 'BadRequestException' },
  // A body that fits through the gateway, but not into an event: the answer as seen in
  // https://github.com/koki-develop/lgtm-generator/issues/10. That it follows DEFAULT_4XX has not been tried on AWS.
  EVENT_TOO_LARGE: { status: 413, message: 'Request Too Long', errorType: 'BadRequestException' },
} satisfies Record<string, Default>;

export type GatewayResponseType = keyof typeof DEFAULTS;

export function gatewayResponse(
  { gatewayResponses }: RestApi,
  type: GatewayResponseType,
  authorizer: Record<string, string | number | boolean> = {},
): Answer {
  const { status, message, errorType } = DEFAULTS[type];
  const custom = gatewayResponses.get(type) ?? gatewayResponses.get(status >= 500 ? 'DEFAULT_5XX' : 'DEFAULT_4XX');
  const template = custom?.template ?? '{"message":$context.error.messageString}';
  const lowerCased = Object.entries(custom?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  return {
    status: custom?.statusCode ?? status,
    headers: {
      'content-type': 'application/json',
      'x-amzn-errortype': errorType,
      'x-amzn-requestid': randomUUID(),
      // Not renamed, unlike a Lambda's: the registry https://github.com/monken/aws-ecr-public lives by it.
      ...Object.fromEntries(lowerCased),
    },
    body: Buffer.from(filled(template, message, authorizer)),
  };
}

/**
 * No VTL, only variables. https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html
 */
function filled(template: string, message: string, authorizer: Record<string, string | number | boolean>): string {
  return template.replace(/\$context\.([\w.]*\w)/g, (_, name: string) => {
    if (name === 'error.messageString') return JSON.stringify(message);
    if (name === 'error.message') return message;
    if (name.startsWith('authorizer.')) return String(authorizer[name.slice('authorizer.'.length)] ?? '');
    throw new Error(`$context.${name} is not known here`);
  });
}

/**
 * The one answer that cannot be customised: above 10 MB, as plain text.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html; as seen in
 * https://github.com/koki-develop/lgtm-generator/issues/10
 */
export function payloadTooLarge(): Answer {
  return {
    status: 413,
    headers: { 'content-type': 'text; charset=utf-8' },
    body: Buffer.from('HTTP content length exceeded 10485760 bytes.'),
  };
}

/** There is no API, and so nothing to customise, behind a stage that does not exist. */
export function noSuchStage(): Answer {
  return {
    status: 403,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': 'ForbiddenException' },
    body: Buffer.from('{"message":"Forbidden"}'),
  };
}
