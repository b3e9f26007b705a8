import type { Context } from 'hono';
import { parseAuthorization } from './callers/authorization.ts';
import type { Action } from './callers/caller.ts';

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
  /** Besides the one in the URL: those that a push by digest has set, or that went with what they named. */
  tags?: readonly string[];
  digest?: string;
  image?: string;
  /** Why it was refused. */
  reason?: string;
  /** Address of the client. */
  from?: string;
  requestId?: string;
};

export type Audit = (entry: AuditEntry) => void;

/** What a handler knows of a request that its URL does not say. */
type Further = Pick<AuditEntry, 'tags' | 'image'>;

const FURTHER = 'audit';

/** Adds to what will be noted of this request, however it ends. */
export function addToAudit(c: Context, further: Further): void {
  c.set(FURTHER, further);
}

/** What the URL of a request names, and what its handler has added. */
export function aboutRoute(
  c: Context,
  repository: string | undefined,
): Pick<AuditEntry, 'repository' | 'tag' | 'tags' | 'digest' | 'image'> {
  const { tag, digest, id, reference } = c.req.param() as Partial<Record<string, string>>;
  const named = reference?.includes(':') ? { digest: reference } : { tag: reference };
  const fields = {
    repository,
    tag: tag ?? named.tag,
    digest: digest ?? named.digest,
    image: id,
    ...(c.get(FURTHER) as Further | undefined),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Those of users are no longer: more need not be kept of what anybody may claim. */
const MAX_CLAIMED_CHARACTERS = 64;

/** A name that somebody claims, and may not have. */
export function claimed(name: string | null): string | null {
  return name?.slice(0, MAX_CLAIMED_CHARACTERS) || null;
}

/** The name in a `Basic` that was refused; never the password. */
export function claimedName(authorization: string | undefined): string | null {
  const { scheme, credentials } = parseAuthorization(authorization);
  const [name = ''] = Buffer.from(scheme === 'basic' ? credentials : '', 'base64')
    .toString()
    .split(':');
  return claimed(name);
}
