import type { Context, MiddlewareHandler } from 'hono';
import { RegistryError } from '../errors.ts';
import type { Authenticator } from './authenticator.ts';
import { ANONYMOUS, type Caller, isAnonymous } from './caller.ts';

/** What whoever takes the requests may know of them before: a gateway's authorizer has asked already who sends one. */
export type RimBindings = { caller?: Caller };

export type AppAuth = { authenticator: Authenticator; realm: string };

const CALLER = 'caller';

/** Finds out who sends a request; a wrong password ends it. `callerOf` tells the handlers. */
export function identify({ authenticator, realm }: AppAuth): MiddlewareHandler {
  return async (c, next) => {
    const { caller } = (c.env ?? {}) as RimBindings;
    try {
      c.set(CALLER, caller ?? (await authenticator.authenticate(c.req.header('Authorization'))));
    } catch (error) {
      throw error instanceof RegistryError && error.code === 'UNAUTHORIZED' ? challenge(error.message, realm) : error;
    }
    await next();
  };
}

/** Lets in whoever has logged in. */
export function requireLogin({ realm }: AppAuth): MiddlewareHandler {
  return async (c, next) => {
    if (isAnonymous(callerOf(c))) throw challenge('log in first', realm);
    await next();
  };
}

export function callerOf(c: Context): Caller {
  return (c.get(CALLER) as Caller | undefined) ?? ANONYMOUS;
}

/** @see https://www.rfc-editor.org/rfc/rfc7617#section-2 */
function challenge(message: string, realm: string): RegistryError {
  const headers = { 'WWW-Authenticate': `Basic realm="${realm}"` };
  return new RegistryError('UNAUTHORIZED', message, { headers });
}
