import type { MiddlewareHandler } from 'hono';
import type { Authenticator } from '../../auth/authenticator.ts';
import { ANONYMOUS } from '../../auth/callers/caller.ts';
import { setCaller } from '../../auth/request-caller.ts';
import type { Sessions } from './sessions.ts';

/**
 * Finds the caller of a request by its session, with the rights of now. A session whose user is gone, or has another password,
 * is anonymous. `Authorization` is ignored here, as cookies are by the registry's APIs.
 */
export function identifyBySession(
  sessions: Sessions,
  authenticator: Pick<Authenticator, 'findHolder'> | undefined,
): MiddlewareHandler {
  return async (c, next) => {
    const { holder } = sessions.of(c);
    setCaller(c, (holder && (await authenticator?.findHolder(holder))) ?? ANONYMOUS);
    await next();
  };
}
