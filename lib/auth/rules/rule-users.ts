// The names in `users` of an access rule that stand for more than one user.
import { ANONYMOUS_NAME } from '../callers/caller.ts';

/** Every caller, with or without a login. */
export const ANY_CALLER = ANONYMOUS_NAME;
/** Every caller with a login. */
export const LOGGED_IN = '*';

/** The rules of a registry where every caller has to log in: what they say of every caller holds for those with a login. */
export function rulesForLogins<Rule extends { users: string[] }>(rules: readonly Rule[]): Rule[] {
  return rules.map((rule) => ({
    ...rule,
    users: rule.users.map((user) => (user === ANY_CALLER ? LOGGED_IN : user)),
  }));
}
