// The authorizer of the template, asked as the gateway asks it.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
import type { APIGatewayAuthorizerResult } from 'aws-lambda';
import type { GatewayResponseType } from './gateway-response.ts';
import { MAX_METHOD_ARN_BYTES, MAX_POLICY_RESOURCE_LENGTH } from './limits.ts';
import type { Authorizer } from './rest-api.ts';

export type AuthorizerContext = Record<string, string | number | boolean>;
export type Verdict = { context: AuthorizerContext } | { refusal: GatewayResponseType };

type Asked = { methodArn: string; headers: Record<string, string[]>; ask: () => Promise<unknown> };

/**
 * What an authorizer that throws something else than "Unauthorized" makes of a request. AWS says of the second that the
 * gateway "fails to connect to an authorizer", and others have seen it then. It is not verified on AWS, so both are tested.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
 */
export const AUTHORIZER_FAILURES = ['AUTHORIZER_FAILURE', 'AUTHORIZER_CONFIGURATION_ERROR'] as const;
export type AuthorizerFailure = (typeof AUTHORIZER_FAILURES)[number];

export class Authorization {
  readonly #failure: AuthorizerFailure;
  readonly #cache = new Map<string, { result: APIGatewayAuthorizerResult; until: number }>();
  /** How often the function was called. */
  calls = 0;

  constructor(failure: AuthorizerFailure = 'AUTHORIZER_FAILURE') {
    this.#failure = failure;
  }

  async decide(authorizer: Authorizer, { methodArn, headers, ask }: Asked): Promise<Verdict> {
    if (Buffer.byteLength(methodArn) > MAX_METHOD_ARN_BYTES) return { refusal: 'URI_TOO_LONG' };
    const identity = authorizer.identityHeaders.map((name) => headerOf(headers, name));
    // The authorizer is not called then: https://docs.aws.amazon.com/apigateway/latest/api/API_Authorizer.html, identitySource
    if (identity.some((value) => !value)) return { refusal: 'UNAUTHORIZED' };
    const key = identity.join('\n');
    const cached = this.#cache.get(key);
    if (cached && cached.until > Date.now()) return verdictOf(cached.result, methodArn);
    let answer: unknown;
    try {
      this.calls++;
      answer = await ask();
    } catch (error) {
      // This very word, and no other: https://github.com/aws/aws-lambda-go/issues/81
      const isRefusal = error instanceof Error && error.message === 'Unauthorized';
      return { refusal: isRefusal ? 'UNAUTHORIZED' : this.#failure };
    }
    const result = checked(answer);
    if (!result) return { refusal: 'AUTHORIZER_CONFIGURATION_ERROR' };
    if (authorizer.ttlSeconds > 0) this.#cache.set(key, { result, until: Date.now() + authorizer.ttlSeconds * 1000 });
    return verdictOf(result, methodArn);
  }
}

function headerOf(headers: Record<string, string[]>, name: string): string {
  return (
    Object.entries(headers)
      .find(([key]) => key.toLowerCase() === name)?.[1]
      .join(',') ?? ''
  );
}

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html */
function checked(answer: unknown): APIGatewayAuthorizerResult | undefined {
  const result = answer as APIGatewayAuthorizerResult | null;
  if (typeof result?.principalId !== 'string' || !Array.isArray(result.policyDocument?.Statement)) return undefined;
  const resources = result.policyDocument.Statement.flatMap((statement) =>
    'Resource' in statement ? statement.Resource : [],
  );
  if (resources.some((resource) => String(resource).length > MAX_POLICY_RESOURCE_LENGTH)) return undefined;
  // Maps and lists are no values of a context.
  if (Object.values(result.context ?? {}).some((value) => typeof value === 'object')) return undefined;
  return result;
}

/** A cached policy applies to the next requests too: one that named the first method would refuse all others. */
function verdictOf({ policyDocument, context, principalId }: APIGatewayAuthorizerResult, methodArn: string): Verdict {
  const matching = policyDocument.Statement.filter((statement) => {
    const resources = 'Resource' in statement ? [statement.Resource].flat() : [];
    return resources.some((resource) => patternOf(String(resource)).test(methodArn));
  });
  const isAllowed =
    matching.some(({ Effect }) => Effect === 'Allow') && !matching.some(({ Effect }) => Effect === 'Deny');
  if (!isAllowed) return { refusal: 'ACCESS_DENIED' };
  const values = Object.entries(context ?? {}).filter(([, value]) => value !== null && value !== undefined);
  return { context: { ...(Object.fromEntries(values) as AuthorizerContext), principalId } };
}

function patternOf(resource: string): RegExp {
  const escaped = resource.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
