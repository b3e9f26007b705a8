import type { Context } from 'hono';
import { parseAuthorization } from './authorization.ts';
import type { Action } from './caller.ts';

/** What is kept of each write, each delete, and whatever was refused. No password, no token, no query. */
export type AuditEntry = {
  /** A user's name, `robot:ci`, `anonymous`; of a login that failed the name that was claimed. */
  who: string;
  action: Action | 'login';
  outcome: 'done' | 'refused' | 'failed';
  status: number;
  method: string;
  path: string;
  repository?: string;
  tag?: string;
  digest?: string;
  image?: string;
  /** Why it was refused. */
  reason?: string;
  /** Address of the client. */
  from?: string;
  requestId?: string;
};

export type Audit = (entry: AuditEntry) => void;

/** What the URL of a request names. */
export function aboutRoute(
  c: Context,
  repository: string | undefined,
): Pick<AuditEntry, 'repository' | 'tag' | 'digest' | 'image'> {
  const { tag, digest, id, reference } = c.req.param() as Partial<Record<string, string>>;
  const named = reference?.includes(':') ? { digest: reference } : { tag: reference };
  const fields = { repository, tag: tag ?? named.tag, digest: digest ?? named.digest, image: id };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** The name in a `Basic` that was refused; never the password. */
export function claimedName(authorization: string | undefined): string | null {
  const { scheme, credentials } = parseAuthorization(authorization);
  const [name = ''] = Buffer.from(scheme === 'basic' ? credentials : '', 'base64')
    .toString()
    .split(':');
  return name.slice(0, 64) || null;
}
