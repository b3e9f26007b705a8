import type { Integration, RestApi } from './rest-api.ts';

export type Route = {
  /** The path in the template: `/{proxy+}`. */
  resource: string;
  /** What `{proxy+}` stands for. */
  proxy: string | undefined;
  integration: Integration;
};

/**
 * The most specific path wins; a greedy one takes all that is left, but not nothing.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-set-up-simple-proxy.html
 * @param path without the stage
 */
export function findRoute({ routes }: RestApi, method: string, path: string): Route | undefined {
  const exact = routes.get(path);
  const resource = exact ? path : '/{proxy+}';
  const methods = exact ?? (path === '/' ? undefined : routes.get(resource));
  const integration = methods?.get(method.toLowerCase()) ?? methods?.get('any');
  return integration && { resource, proxy: exact ? undefined : path.slice(1), integration };
}

/**
 * The stage is the first part of the path on the API's own domain.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-call-api.html
 * Leading slashes in a row count as one: https://github.com/localstack/localstack/issues/11253
 */
export function splitStage(path: string): { stage: string; path: string } {
  const [, stage = '', rest = ''] = /^\/+([^/]*)(.*)$/.exec(path) ?? [];
  return { stage, path: `/${rest.replace(/^\/+/, '')}` };
}
