// Whose an image is that no tag names yet. Whoever pushes has to read what has come, as the parent of the next image or to
// tag it; so there is a mark beside the image that says who that was, and by which token.
import { createHash } from 'node:crypto';
import { type Caller, type Grant, isAnonymous } from '../auth/callers/caller.ts';

export type Pusher = {
  /** As it stands beside an image: in letters that any key can hold. */
  id: string;
  /** Whether what was pushed by a token made for this caller is the caller's too: of somebody who showed a password, or a robot. */
  isOwner: boolean;
};

/** `<who>`, or `<who>.<what a token allows>`, both hashed: names that identity providers give may be long, and hold anything. */
export function pusherOf(caller: Caller): Pusher {
  // What a token of v1 pushes is its holder's, also by the token for another repository.
  if (caller.kind === 'token' && caller.holder) return pusherOf(caller.holder);
  const who = hashOf(whoIs(caller));
  if (caller.kind !== 'token' || caller.isFinal) return { id: who, isOwner: !isAnonymous(caller) };
  return { id: `${who}.${hashOf(caller.grants.map(asText).sort())}`, isOwner: false };
}

/** A token gives no more than it says: what was pushed by another one is its holder's only if that one says just the same. */
export function isPushedBy(pusherId: string, pusher: Pusher): boolean {
  return pusherId === pusher.id || (pusher.isOwner && pusherId.startsWith(`${pusher.id}.`));
}

/** Robots by their ids: of one name there may be several, with other rights. */
function whoIs(caller: Caller): string[] {
  if (caller.kind === 'user') return ['user', caller.name];
  if (caller.kind === 'anonymous' || caller.subject === '') return ['anonymous'];
  return caller.robot === undefined ? ['user', caller.subject] : ['robot', caller.robot];
}

function asText(grant: Grant): string {
  const where = 'repository' in grant ? ['repository', grant.repository] : ['pattern', grant.pattern];
  return JSON.stringify([...where, ...[...grant.actions].sort()]);
}

/** In letters that any key can hold. */
export function hashOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
