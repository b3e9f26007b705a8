import type { Context } from 'hono';
import { type ClientBindings, clientAddressOf } from '../http/client-address.ts';
import { networkOf } from '../http/network.ts';
import { ANONYMOUS, type Caller, isAnonymous, nameOf } from './callers/caller.ts';

/** What the server or gateway that hands on a request knows about its sender. A gateway's authorizer has the caller. */
export type CallerBindings = ClientBindings & { caller?: Caller };

const CALLER = 'caller';

export function setCaller(c: Context, caller: Caller): void {
  c.set(CALLER, caller);
}

/** The caller as whom the request is made; anonymous until `Gate.identify` has run. */
export function callerOf(c: Context): Caller {
  return (c.get(CALLER) as Caller | undefined) ?? ANONYMOUS;
}

/** The caller's name, as in the audit log. */
export function callerNameOf(c: Context): string {
  return nameOf(callerOf(c));
}

/** The name under which transfers are counted: the caller's, or for an anonymous caller its network. */
export function accountOf(c: Context): string {
  const caller = callerOf(c);
  return isAnonymous(caller) ? `address ${networkOf(clientAddressOf(c) ?? '')}` : nameOf(caller);
}
