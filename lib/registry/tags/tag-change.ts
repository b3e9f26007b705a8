import type { Digest, RepositoryName, Tag } from '../../model/names.ts';
import type { TagTarget } from './target.ts';

/**
 * `moved`: the tag was written. `deleted`: the tag was deleted; `target` is what it named. `deletedManifest`: a manifest was
 * deleted, and with it `tags`, without those that were pushed again meanwhile. `emptied`: the last manifest was deleted, and with
 * it all that the repository listed.
 */
export type TagChange =
  | { moved: Tag }
  | { deleted: Tag; target: TagTarget }
  | { deletedManifest: Digest; tags: readonly Tag[] }
  | { emptied: true };

/**
 * A move of a tag: it was set, or deleted. `to` is undefined after a deletion; `from` is what the tag named before, if that is
 * known; `by` is the caller's name, as in the audit log.
 */
export type Move = { tag: Tag; to?: TagTarget; from?: TagTarget; by: string };

/** Called directly after each move. Resolves once the move is recorded, or at once where that happens in the background. */
export type RecordMove = (repository: RepositoryName, move: Move) => Promise<void>;

/** Called after each change. It returns at once: what it starts runs in the background. */
export type OnTagChange = (repository: RepositoryName, change: TagChange) => void;
