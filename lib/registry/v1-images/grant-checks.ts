import type { Grant, ImageKind, ManifestPath, ProjectedContent } from '../../model/layout.ts';
import type { ImageId, RepositoryName, Tag } from '../../model/names.ts';

export type StoredGrant = { grant: Grant; writtenAt: Date };

/** One question to storage, which decides several grants: are these manifests there, or does this tag name one of these images? */
export type GrantCheck = {
  imageKind: ImageKind;
  repository: RepositoryName;
  by: { manifests: ManifestPath; content?: ProjectedContent } | TagCheck;
};
export type TagCheck = { tag: Tag; tops: ImageId[] };

/** How many checks one read of an image may cost: stale grants must not make it expensive. */
const MAX_CHECKS = 64;

/**
 * The checks that decide these grants, each once: the newest of each repository first, one of every repository in turn, so
 * that a repository with many stale grants does not use up the checks of the others.
 */
export function grantChecks(grants: readonly StoredGrant[]): GrantCheck[] {
  const checks = new Map<string, GrantCheck>();
  for (const { grant } of grants.toSorted(newestFirst)) {
    const { imageKind, repository, by, content } = grant;
    if (Array.isArray(by)) {
      const name = `${repository} manifests ${by.join(' ')}`;
      const check = { imageKind, repository, by: { manifests: by, ...(content && { content }) } };
      if (!checks.has(name)) checks.set(name, check);
      continue;
    }
    const name = `${repository} tag ${by.tag}`;
    const known = checks.get(name)?.by;
    if (known && 'tag' in known) known.tops.push(by.top);
    else checks.set(name, { imageKind, repository, by: { tag: by.tag, tops: [by.top] } });
  }
  const byRepository = [...Map.groupBy(checks.values(), ({ repository }) => repository).values()];
  const longest = Math.max(0, ...byRepository.map(({ length }) => length));
  const inTurn: GrantCheck[] = [];
  for (let turn = 0; turn < longest && inTurn.length < MAX_CHECKS; turn++) {
    inTurn.push(...byRepository.flatMap((ofOne) => ofOne[turn] ?? []));
  }
  return inTurn.slice(0, MAX_CHECKS);
}

export function newestFirst(one: StoredGrant, other: StoredGrant): number {
  return other.writtenAt.getTime() - one.writtenAt.getTime();
}
