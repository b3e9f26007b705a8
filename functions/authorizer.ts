// Authenticates requests for API Gateway. It lets every authenticated caller through: the request handler applies the access
// rules.
import type { APIGatewayAuthorizerResult, APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { type AuditEntry, claimedName } from '../lib/auth/audit.ts';
import { nameOf } from '../lib/auth/callers/caller.ts';
import { TOKEN_PATH } from '../lib/auth/challenges.ts';
import { createAuthenticator } from '../lib/auth/create-authenticator.ts';
import { RegistryError } from '../lib/model/errors.ts';
import { SigningKeys } from '../lib/model/signed-token.ts';
import { openStorage } from '../lib/storage/open.ts';
import '../lib/storage/s3-driver.ts'; // as in request-handler.ts
import { readConfiguration } from './configuration.ts';
import { clientAddressOf } from './gateway/client-address.ts';

const { config, log } = await readConfiguration();
const { auth, secretKey, secretKeyPrevious, storage, trustedProxies } = config;
if (!auth) throw new Error('the configuration has no auth: set AUTH, or add the key to config.yml');
if (!secretKey) throw new Error('secret_key is not set: tokens cannot be verified');
/** Whether requests without a login go through to the request handler, where the access rules decide. */
const allowsAnonymous = process.env.ANONYMOUS_PULL === 'true';
const authenticator = await createAuthenticator(auth, {
  storage,
  driver: await openStorage(storage, { verifies: false }),
  keys: new SigningKeys(secretKey, secretKeyPrevious),
  log,
  readsUsersLazily: true,
});

export const handler = async (event: APIGatewayRequestAuthorizerEvent): Promise<APIGatewayAuthorizerResult> => {
  const address = clientAddressOf(event, trustedProxies);
  const caller = await authenticator.authenticate(authorizationOf(event), address).catch((error: unknown) => {
    if (!(error instanceof RegistryError)) throw error;
    log.audit(refusedLogin(event, error, address));
    if (error.code === 'UNAUTHORIZED') throw unauthorized();
    throw error; // too many logins: the gateway answers 503, see AUTHORIZER_FAILURE in template.yaml
  });
  // By `kind`, so that anonymous tokens pass.
  if (caller.kind === 'anonymous' && !(allowsAnonymous && needsNoToken(event))) throw unauthorized();
  return {
    principalId: nameOf(caller),
    // The gateway caches this policy for the Authorization header, across methods and paths, so it allows the whole API.
    // Never the ARN of the method: with a long repository name it would exceed the size limit of a policy.
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: apiOf(event.methodArn) }],
    },
    context: { caller: JSON.stringify(caller) },
  };
};

/** The same audit entry that a Node process writes. The status is the one that the gateway answers. */
function refusedLogin(
  event: APIGatewayRequestAuthorizerEvent,
  { code, message: reason }: RegistryError,
  from: string,
): AuditEntry {
  const { path, requestId } = event.requestContext;
  const caller = claimedName(authorizationOf(event)) ?? 'unknown';
  const status = code === 'UNAUTHORIZED' ? 401 : 503;
  const { httpMethod: method } = event;
  return { who: caller, action: 'login', outcome: 'refused', status, reason, method, path, from, requestId };
}

/**
 * With anonymous pull a v2 client without a token gets a challenge that leads it to the token endpoint, which it calls
 * without a login. v1 has no such challenge, so all of v1 goes through.
 */
function needsNoToken({ requestContext: { path } }: APIGatewayRequestAuthorizerEvent): boolean {
  return path === TOKEN_PATH || path.startsWith('/v1/');
}

/**
 * The gateway answers 401 to exactly this message.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
 */
function unauthorized(): Error {
  return new Error('Unauthorized');
}

function authorizationOf({ headers }: APIGatewayRequestAuthorizerEvent): string | undefined {
  return Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'authorization')?.[1];
}

/** `arn:aws:execute-api:eu-west-1:123456789012:abc123/v2/GET/…` to `arn:aws:execute-api:eu-west-1:123456789012:abc123/*`. */
function apiOf(methodArn: string): string {
  return `${methodArn.slice(0, methodArn.indexOf('/'))}/*`;
}
