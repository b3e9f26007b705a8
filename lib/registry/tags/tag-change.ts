import type { Digest, RepositoryName, Tag } from '../../model/names.ts';
import type { PushedManifest } from './pushed-manifest.ts';
import type { TagTarget } from './target.ts';

/**
 * `moved`: the tag was written; `pushed` is the manifest that it names, if that was put by the same request, and `isRepeated`
 * tells whether the tag named the same before. `deleted`: the tag was deleted; `target` is what it named. `deletedManifest`: a
 * manifest was deleted, and with it `tags`, without those that were pushed again meanwhile. `emptied`: the last manifest was
 * deleted, and with it all that the repository listed.
 */
export type TagChange =
  | { moved: Tag; pushed?: PushedManifest; isRepeated?: IsRepeated }
  | { deleted: Tag; target: TagTarget }
  | { deletedManifest: Digest; tags: readonly Tag[] }
  | { emptied: true };

/**
 * A move of a tag: it was set, or deleted. `to` is undefined after a deletion; `from` is what the tag named before, if that is
 * known; `by` is the caller's name, as in the audit log.
 */
export type Move = { tag: Tag; to?: TagTarget; from?: TagTarget; by: string };

/**
 * Whether the tag named the same before this move, as its history shows: a push was repeated. One storage request. False if the
 * history does not tell.
 */
export type IsRepeated = () => Promise<boolean>;

/** Called directly after each move. Resolves once the move is recorded, or at once where that happens in the background. */
export type RecordMove = (repository: RepositoryName, move: Move) => Promise<IsRepeated>;

/** Called after each change. It returns at once: what it starts runs in the background. */
export type OnTagChange = (repository: RepositoryName, change: TagChange) => void;
