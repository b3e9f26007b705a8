// Identifies the pusher of an image that no tag names yet. A client reads what it has just pushed, as the parent of the next
// image or to tag it; the pusher record beside the image allows that.
import { createHash } from 'node:crypto';
import { type Caller, type Grant, isAnonymous } from '../auth/callers/caller.ts';

export type Pusher = {
  /** Part of the key of a pusher record: one or two hashes in hex, joined by a dot. Safe in every key. */
  id: string;
  /** Whether the caller may also read what was pushed by access tokens issued to it: a user or a robot, with its own login. */
  readsPushesOfOwnTokens: boolean;
};

/** The id is `<caller>` or `<caller>.<grants of its access token>`, as hashes, since names may be long and contain any character. */
export function pusherOf(caller: Caller): Pusher {
  // A v1 token pushes as its holder, who may use several tokens for one push.
  if (caller.kind === 'token' && caller.holder) return pusherOf(caller.holder);
  const id = hashOf(identityOf(caller));
  if (caller.kind !== 'token' || caller.isFinal) return { id, readsPushesOfOwnTokens: !isAnonymous(caller) };
  return { id: `${id}.${hashOf(caller.grants.map(asText).sort())}`, readsPushesOfOwnTokens: false };
}

/**
 * Whether the caller pushed the image of a pusher record. An access token reads the pushes of another one only if both have
 * the same grants, so that a token for one repository does not reveal what was pushed to another.
 */
export function isPushedBy(pusherId: string, pusher: Pusher): boolean {
  return pusherId === pusher.id || (pusher.readsPushesOfOwnTokens && pusherId.startsWith(`${pusher.id}.`));
}

/** A robot is identified by its id, since robots with different rights may share a name. */
function identityOf(caller: Caller): string[] {
  if (caller.kind === 'user') return ['user', caller.name];
  if (caller.kind === 'anonymous' || caller.subject === '') return ['anonymous'];
  return caller.robot === undefined ? ['user', caller.subject] : ['robot', caller.robot];
}

function asText(grant: Grant): string {
  const where = 'repository' in grant ? ['repository', grant.repository] : ['pattern', grant.pattern];
  return JSON.stringify([...where, ...[...grant.actions].sort()]);
}

/** Hex digits, safe in every key. */
export function hashOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
