import type { Context, MiddlewareHandler } from 'hono';
import { addToAudit } from '../../auth/audit.ts';
import type { Action } from '../../auth/callers/caller.ts';
import type { Gate } from '../../auth/gate.ts';
import { RegistryError } from '../../model/errors.ts';
import type { RepositoryName, Tag } from '../../model/names.ts';

/** What a form is about to change. */
export type Change = { repository: RepositoryName; tags: ReadonlySet<Tag> };

export type ChangeEnv = { Variables: { change: Change } };

/**
 * Admits forms of callers that may do this in the repository, and leaves the change for the handler in `c.var.change`. What the
 * form has done is audited, also where it fails.
 * @throws RegistryError UNSUPPORTED, UNAUTHORIZED, DENIED, and those of `changeOf`
 */
export function allowChange(
  { gate, isReadOnly }: { gate: Gate; isReadOnly: boolean },
  action: Exclude<Action, 'pull'>,
  changeOf: (c: Context) => Change,
): MiddlewareHandler<ChangeEnv> {
  return async (c, next) => {
    const change = changeOf(c);
    if (isReadOnly) throw new RegistryError('UNSUPPORTED', 'this registry is read-only');
    gate.check(c, action, change.repository);
    addToAudit(c, { tags: [...change.tags] });
    c.set('change', change);
    await next();
    gate.auditOutcome(c, action, change.repository);
  };
}
