// Who sends a request. What they may do is decided where it is done; here everybody who may log in may pass.
import type { APIGatewayAuthorizerResult, APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { type AuditEntry, claimedName } from '../lib/auth/audit.ts';
import { nameOf } from '../lib/auth/callers/caller.ts';
import { TOKEN_PATH } from '../lib/auth/challenges.ts';
import { createAuthenticator } from '../lib/auth/create-authenticator.ts';
import { RegistryError } from '../lib/model/errors.ts';
import { SigningKeys } from '../lib/model/signed-token.ts';
import { openStorage } from '../lib/storage/open.ts';
import { readConfiguration } from './configuration.ts';
import { clientAddressOf } from './gateway/client-address.ts';

const { config, log } = await readConfiguration();
const { auth, secretKey, secretKeyPrevious, storage, trustedProxies } = config;
if (!auth) throw new Error('the configuration has no auth: set AUTH, or add the key to config.yml');
if (!secretKey) throw new Error('secret_key is not set: no token could be read');
/** Whether requests without a login may come through to where the access rules decide. */
const allowsAnonymous = process.env.ANONYMOUS_PULL === 'true';
const authenticator = await createAuthenticator(auth, {
  storage,
  driver: await openStorage(storage),
  keys: new SigningKeys(secretKey, secretKeyPrevious),
  log,
  needsUsers: false,
});

export const handler = async (event: APIGatewayRequestAuthorizerEvent): Promise<APIGatewayAuthorizerResult> => {
  const address = clientAddressOf(event, trustedProxies);
  const caller = await authenticator.authenticate(authorizationOf(event), address).catch((error: unknown) => {
    if (!(error instanceof RegistryError)) throw error;
    log.audit(refusedLogin(event, error, address));
    if (error.code === 'UNAUTHORIZED') throw unauthorized();
    throw error; // too many logins: the gateway says that it cannot tell now, see AUTHORIZER_… in template.yaml
  });
  // A token that was given to nobody in particular is one.
  if (caller.kind === 'anonymous' && !(allowsAnonymous && needsNoToken(event))) throw unauthorized();
  return {
    principalId: nameOf(caller),
    // The gateway keeps the answer for this Authorization whatever is asked for next, so it must allow all of it. Never the
    // ARN of the method itself: a long name would make it longer than a policy may be.
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: apiOf(event.methodArn) }],
    },
    context: { caller: JSON.stringify(caller) },
  };
};

/** As the registry notes it where it asks by itself. The status is the one that the gateway gives the client. */
function refusedLogin(
  event: APIGatewayRequestAuthorizerEvent,
  { code, message: reason }: RegistryError,
  from: string,
): AuditEntry {
  const { path, requestId } = event.requestContext;
  const who = claimedName(authorizationOf(event)) ?? 'unknown';
  const status = code === 'UNAUTHORIZED' ? 401 : 503;
  return { who, action: 'login', outcome: 'refused', status, reason, method: event.httpMethod, path, from, requestId };
}

/**
 * With anonymous pull a v2 client without a token is told where to get one, and asks there without one. v1 knows none of
 * that.
 */
function needsNoToken({ requestContext: { path } }: APIGatewayRequestAuthorizerEvent): boolean {
  return path === TOKEN_PATH || path.startsWith('/v1/');
}

/** The gateway answers this very word, and no other, with 401. */
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
