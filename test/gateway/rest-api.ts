// What API Gateway would know of the API, read from the OpenAPI document in the template.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html
import type { JsonObject, JsonValue } from '../../lib/model/json.ts';
import { objectOf, type Resource, type Stack } from './template.ts';

export type Integration = {
  /** Logical id of the function. */
  functionId: string;
  timeoutMs: number;
  authorizer: Authorizer | undefined;
};

export type Authorizer = {
  functionId: string;
  /** Names of headers, in lower case. */
  identityHeaders: string[];
  ttlSeconds: number;
};

export type GatewayResponse = {
  statusCode: number | undefined;
  headers: Record<string, string>;
  /** Of `application/json`. */
  template: string | undefined;
};

export type RestApi = {
  stages: string[];
  /** By path as OpenAPI has it, and method in lower case (`any` for all). */
  routes: Map<string, Map<string, Integration>>;
  binaryMediaTypes: string[];
  gatewayResponses: Map<string, GatewayResponse>;
};

const ANY = 'x-amazon-apigateway-any-method';

export function readRestApi(stack: Stack, id = 'RestApi'): RestApi {
  const api = stack.resources.get(id);
  if (api?.type !== 'AWS::Serverless::Api') throw new Error(`${id} is no AWS::Serverless::Api`);
  const body = objectOf(api.properties.DefinitionBody ?? null, 'DefinitionBody');
  const schemes = objectOf(objectOf(body.components ?? {}, 'components').securitySchemes ?? {}, 'securitySchemes');
  const authorizers = new Map(
    Object.entries(schemes).map(([name, scheme]) => [name, authorizerOf(stack, objectOf(scheme, name))]),
  );
  const routes = new Map<string, Map<string, Integration>>();
  for (const [path, methods] of Object.entries(objectOf(body.paths ?? null, 'paths'))) {
    const byMethod = Object.entries(objectOf(methods, path)).map(
      ([name, method]) =>
        [name === ANY ? 'any' : name, integrationOf(stack, authorizers, objectOf(method, path))] as const,
    );
    routes.set(path, new Map(byMethod));
  }
  return {
    stages: [String(api.properties.StageName), ...furtherStages(stack, id), ...unwantedStages(api)],
    routes,
    binaryMediaTypes: textsOf(body['x-amazon-apigateway-binary-media-types'] ?? []),
    gatewayResponses: gatewayResponsesOf(objectOf(body['x-amazon-apigateway-gateway-responses'] ?? {}, 'responses')),
  };
}

function furtherStages({ resources }: Stack, id: string): string[] {
  const isStage = ({ type, properties }: Resource) =>
    type === 'AWS::ApiGateway::Stage' && properties.RestApiId === `${id.toLowerCase()}-id`;
  return [...resources.values()].filter(isStage).map(({ properties }) => String(properties.StageName));
}

/** SAM makes one more stage unless it is told a version: https://github.com/aws/serverless-application-model/issues/191 */
function unwantedStages({ properties }: Resource): string[] {
  return properties.OpenApiVersion === undefined ? ['Stage'] : [];
}

function integrationOf(
  stack: Stack,
  authorizers: Map<string, Authorizer>,
  { security, 'x-amazon-apigateway-integration': integration }: JsonObject,
): Integration {
  const { type, httpMethod, uri, timeoutInMillis = 29_000 } = objectOf(integration ?? null, 'integration');
  // A Lambda is always called by POST, independently of the client's method.
  if (type !== 'aws_proxy' || httpMethod !== 'POST') throw new Error('only aws_proxy by POST is known here');
  const [required = {}] = Array.isArray(security) ? security : [];
  const [name] = Object.keys(objectOf(required, 'security'));
  if (name !== undefined && !authorizers.has(name)) throw new Error(`there is no security scheme ${name}`);
  return {
    functionId: functionOf(stack, uri ?? null, '/*'),
    timeoutMs: Number(timeoutInMillis),
    authorizer: name === undefined ? undefined : authorizers.get(name),
  };
}

function authorizerOf(stack: Stack, scheme: JsonObject): Authorizer {
  const {
    type,
    authorizerUri,
    identitySource,
    authorizerResultTtlInSeconds: ttl = 300,
  } = objectOf(scheme['x-amazon-apigateway-authorizer'] ?? null, 'authorizer');
  if (type !== 'request' || scheme['x-amazon-apigateway-authtype'] !== 'custom') {
    throw new Error('only custom authorizers of type request are known here');
  }
  const sources = typeof identitySource === 'string' ? identitySource.split(',') : [];
  const identityHeaders = sources.map((source) => {
    const [, header] = /^\s*method\.request\.header\.([\w-]+)\s*$/.exec(source) ?? [];
    if (!header) throw new Error(`identity source ${source} is not known here`);
    return header.toLowerCase();
  });
  // https://docs.aws.amazon.com/apigateway/latest/api/API_Authorizer.html: a cache needs something to remember answers by.
  if (identityHeaders.length === 0 && Number(ttl) > 0) throw new Error('a cached authorizer needs an identity source');
  return {
    functionId: functionOf(stack, authorizerUri ?? null, '/authorizers/*'),
    identityHeaders,
    ttlSeconds: Number(ttl),
  };
}

/** The function that a URI names, if the template lets the gateway call it. */
function functionOf({ resources }: Stack, uri: JsonValue, mayBeCalledFor: string): string {
  const [, id] = /:function:([^/]+)\/invocations$/.exec(String(uri)) ?? [];
  if (!id || resources.get(id)?.type !== 'AWS::Serverless::Function')
    throw new Error(`${String(uri)} names no function`);
  const isAllowed = [...resources.values()].some(
    ({ type, properties }) =>
      type === 'AWS::Lambda::Permission' &&
      properties.Principal === 'apigateway.amazonaws.com' &&
      properties.FunctionName === `${id.toLowerCase()}-id` &&
      String(properties.SourceArn).endsWith(`:restapi-id${mayBeCalledFor}`),
  );
  if (!isAllowed) throw new Error(`the gateway may not call ${id}: there is no AWS::Lambda::Permission for it`);
  return id;
}

function gatewayResponsesOf(responses: JsonObject): Map<string, GatewayResponse> {
  return new Map(
    Object.entries(responses).map(([type, value]) => {
      const { statusCode, responseParameters, responseTemplates } = objectOf(value, type);
      const headers = Object.entries(objectOf(responseParameters ?? {}, type)).map(([name, text]) => [
        name.replace('gatewayresponse.header.', ''),
        unquoted(String(text)),
      ]);
      const template = objectOf(responseTemplates ?? {}, type)['application/json'];
      return [
        type,
        {
          statusCode: statusCode === undefined ? undefined : Number(statusCode),
          headers: Object.fromEntries(headers),
          template: typeof template === 'string' ? template : undefined,
        },
      ];
    }),
  );
}

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/request-response-data-mappings.html: static values are in '…'. */
function unquoted(text: string): string {
  const [, value] = /^'(.*)'$/.exec(text) ?? [];
  if (value === undefined) throw new Error(`${text} is no static value in single quotes`);
  return value;
}

function textsOf(value: JsonValue): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
