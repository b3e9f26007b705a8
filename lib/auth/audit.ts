import type { Context } from 'hono';
import { parseAuthorization } from './callers/authorization.ts';
import type { Action } from './callers/caller.ts';

/** What an operator may have a server do: runs of the collector, `usage` and `fsck`, and what is done with plans of retention. */
export type Operation =
  | 'gc'
  | 'gc dry run'
  | 'usage'
  | 'fsck'
  | 'retention plan'
  | 'retention apply'
  | 'retention undo';

/** The audit log has an entry for each write, delete, operation and refusal. Entries hold no password, token or query string. */
export type AuditEntry = {
  /** The field's name in the log. The caller: a user's name, `robot:ci` or `anonymous`. For a failed login the name that the client claimed. */
  who: string;
  action: Action | Operation | 'login';
  outcome: 'done' | 'refused' | 'failed';
  /** Of the answer; absent for the deletion of a tag by a plan, which is logged before there is one. */
  status?: number;
  method: string;
  path: string;
  repository?: string;
  tag?: string;
  /** Tags that are not in the URL: set by a push by digest, or deleted together with their manifest. */
  tags?: readonly string[];
  digest?: string;
  image?: string;
  /** The plan of retention that has deleted the tag. */
  plan?: string;
  /** Why a login was refused. */
  reason?: string;
  /** Address of the client. */
  from?: string;
  requestId?: string;
};

export type Audit = (entry: AuditEntry) => void;

/** Facts that a handler adds, because they are not in the URL. */
type Details = Pick<AuditEntry, 'tags' | 'image'>;

const DETAILS = 'audit';

/** Adds facts to the audit entry of this request, whether it succeeds or fails. */
export function addToAudit(c: Context, details: Details): void {
  c.set(DETAILS, details);
}

/** The audit fields that the URL names, and those that the handler has added. */
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
    ...(c.get(DETAILS) as Details | undefined),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** User names are no longer. Clients can claim names of any length, so the log cuts them. */
const MAX_CLAIMED_CHARACTERS = 64;

/** A name as a client claims it, cut to the length of a user name; null if it is empty. */
export function claimed(name: string | null): string | null {
  return name?.slice(0, MAX_CLAIMED_CHARACTERS) || null;
}

/** The user name in a `Basic` header, never the password; null for any other scheme, whose credentials name no user. */
export function claimedName(authorization: string | undefined): string | null {
  const { scheme, credentials } = parseAuthorization(authorization);
  const [name = ''] = Buffer.from(scheme === 'basic' ? credentials : '', 'base64')
    .toString()
    .split(':');
  return claimed(name);
}
