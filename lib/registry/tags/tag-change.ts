import type { Digest, RepositoryName, Tag } from '../../model/names.ts';
import type { TagTarget } from './target.ts';

/**
 * `moved`: the tag was written. `deleted`: the tag was deleted; `target` is what it named. `deletedManifest`: a manifest was
 * deleted, and with it `tags`, without those that were pushed again meanwhile.
 */
export type TagChange =
  | { moved: Tag }
  | { deleted: Tag; target: TagTarget }
  | { deletedManifest: Digest; tags: readonly Tag[] };

/** Called after each change. It returns at once: what it starts runs in the background. */
export type OnTagChange = (repository: RepositoryName, change: TagChange) => void;
