// The rules of retention, as the configuration gives them, and how they choose tags.
import { matcherOf, repositoriesMatcher } from '../../model/name-pattern.ts';
import type { RepositoryName, Tag } from '../../model/names.ts';

export type VersionLevel = 'major' | 'minor' | 'patch';

/** Each clause that is present keeps tags. A tag is kept if any clause holds it. */
export type KeepClauses = {
  /** As many of the rule's tags as this, by their last move. */
  last?: number;
  /** Moved less than so many milliseconds ago. */
  newerMs?: number;
  /** Of each group of versions as many as this, the highest first. */
  newestOfEach?: Partial<Record<VersionLevel, number>>;
  /** Pulled, or moved, less than so many milliseconds ago. */
  lastPulledMs?: number;
};

/** `allOf` holds a tag if each of its clauses does. */
export type Keep = KeepClauses & { allOf?: KeepClauses };

/** What a rule says of the tags it matches. `label`: tags whose image carries an expiry are kept until then; others do not match. */
export type TagVerdict = { keep: 'always' | Keep } | { expires: 'label' };

export type TagRule = {
  /** Position in the configuration, from 1. */
  number: number;
  repositories: string[];
  /** Patterns; undefined for all tags. */
  tags?: string[];
} & TagVerdict;

/** How long manifests without a tag are kept. */
export type UntaggedRule = { number: number; repositories: string[]; untagged: 'keep' | { olderThanMs: number } };

export type RetentionRule = TagRule | UntaggedRule;

/** What the collector does with a manifest that nothing refers to. `olderThanMs` counts from its LastModified. */
export type UntaggedPolicy = 'keep' | { olderThanMs: number };

export function isTagRule(rule: RetentionRule): rule is TagRule {
  return !('untagged' in rule);
}

/** The rules about tags of a repository, in their order. */
export function tagRulesFor(rules: readonly RetentionRule[], repository: RepositoryName): TagRule[] {
  return rules.filter(isTagRule).filter((rule) => repositoriesMatcher(rule.repositories)(repository));
}

/** The first rule with `untagged` that matches the repository decides; without one, untagged manifests are kept. */
export function untaggedPolicyOf(rules: readonly RetentionRule[]): (repository: RepositoryName) => UntaggedPolicy {
  const untagged = rules.filter((rule): rule is UntaggedRule => !isTagRule(rule));
  return (repository) =>
    untagged.find((rule) => repositoriesMatcher(rule.repositories)(repository))?.untagged ?? 'keep';
}

/** Makes a predicate: whether the name of a tag is one that the rule is about. */
export function tagMatcherOf({ tags = ['*'] }: TagRule): (tag: Tag) => boolean {
  const matchers = tags.map(matcherOf);
  return (tag) => matchers.some((matches) => matches(tag));
}

/** The clauses of a rule with those below `allOf`. */
export function clausesOf(rule: TagRule): KeepClauses[] {
  if (!('keep' in rule) || rule.keep === 'always') return [];
  return [rule.keep, ...(rule.keep.allOf ? [rule.keep.allOf] : [])];
}

/** Whether a pull can decide about the rule's tags. */
export function usesPulls(rule: RetentionRule): boolean {
  return isTagRule(rule) && clausesOf(rule).some(({ lastPulledMs }) => lastPulledMs !== undefined);
}

/** Whether the rule is about versions alone: other tags go on to the next rule. */
export function isAboutVersions(rule: TagRule): boolean {
  return clausesOf(rule).some(({ newestOfEach }) => newestOfEach !== undefined);
}
