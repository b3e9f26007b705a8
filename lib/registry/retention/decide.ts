// Which tags of a repository the rules keep. Pure: everything that is stored comes in as `TagFacts`.
import { DAY_MS, formatDuration } from '../../model/duration.ts';
import type { Tag } from '../../model/names.ts';
import {
  isAboutVersions,
  type Keep,
  type KeepClauses,
  type TagRule,
  tagMatcherOf,
  type VersionLevel,
} from './rules.ts';
import { compareVersions, groupOf, parseVersion, type Version } from './versions.ts';

/** What the rules look at. Times are in milliseconds of Unix time. */
export type TagFacts = {
  tag: Tag;
  /** When the tag began to name what it names. */
  movedAtMs: number;
  isImmutable: boolean;
  /** How long the image asks to be kept after the tag has moved; undefined if it does not, or no rule asks for it. */
  expiresAfterMs?: number;
  /** The last recorded pull. A day may pass between the two, since at most one pull a day is recorded. */
  lastPulledAtMs?: number;
};

export type Verdict = {
  keep: boolean;
  /** Number of the rule that decides; undefined if no rule matches, or the tag is immutable. */
  rule?: number;
  reason: string;
};

export type Clock = {
  nowMs: number;
  /** Since when pulls are recorded; undefined if they are not. Before that, a tag may have been pulled at any time. */
  pullsSinceMs?: number;
};

/**
 * Applies the rules of one repository. The first rule that matches a tag decides. Kept is what no rule matches, what is
 * immutable, and what a clause of the deciding rule holds; immutable tags do not count among the `last` tags of a rule.
 * @param rules those that match the repository, in their order
 * @returns the verdict for each tag; it does not depend on the order of the tags
 */
export function decide(rules: readonly TagRule[], tags: readonly TagFacts[], clock: Clock): Map<Tag, Verdict> {
  const matchers = rules.map((rule) => ({ rule, matches: matcherOfRule(rule) }));
  const byRule = Map.groupBy(tags, (facts) =>
    facts.isImmutable ? undefined : matchers.find(({ matches }) => matches(facts))?.rule,
  );
  const verdicts = [...byRule].flatMap(([rule, decided]) =>
    rule ? decideByRule(rule, decided, clock) : decided.map(withoutRule),
  );
  return new Map(verdicts);
}

function withoutRule({ tag, isImmutable }: TagFacts): [Tag, Verdict] {
  return [tag, { keep: true, reason: isImmutable ? 'immutable' : 'no rule' }];
}

function matcherOfRule(rule: TagRule): (facts: TagFacts) => boolean {
  const matchesName = tagMatcherOf(rule);
  const needsVersion = isAboutVersions(rule);
  const needsExpiry = 'expires' in rule;
  return ({ tag, expiresAfterMs }) =>
    matchesName(tag) &&
    (!needsVersion || parseVersion(tag) !== undefined) &&
    (!needsExpiry || expiresAfterMs !== undefined);
}

function decideByRule(rule: TagRule, tags: readonly TagFacts[], clock: Clock): [Tag, Verdict][] {
  const judge = 'expires' in rule ? byExpiry : rule.keep === 'always' ? () => ALWAYS : byClauses(rule.keep, tags);
  return tags.map((facts) => {
    const { holds, reason } = judge(facts, clock);
    return [facts.tag, { keep: holds, rule: rule.number, reason: `rule ${rule.number}: ${reason}` }];
  });
}

/** Whether something keeps a tag, and why or why not. */
type Judgement = { holds: boolean; reason: string };
type Judge = (facts: TagFacts, clock: Clock) => Judgement;

const ALWAYS: Judgement = { holds: true, reason: 'always' };

function byExpiry({ movedAtMs, expiresAfterMs = Number.POSITIVE_INFINITY }: TagFacts, { nowMs }: Clock): Judgement {
  const at = new Date(movedAtMs + expiresAfterMs).toISOString();
  return movedAtMs + expiresAfterMs > nowMs
    ? { holds: true, reason: `expires ${at}` }
    : { holds: false, reason: `expired ${at}` };
}

function byClauses({ allOf, ...clauses }: Keep, tags: readonly TagFacts[]): Judge {
  const any = judgesOf(clauses, tags);
  const all = allOf && judgesOf(allOf, tags);
  return (facts, clock) => {
    const judged = any.map((judge) => judge(facts, clock));
    if (all) {
      const each = all.map((judge) => judge(facts, clock));
      const failing = each.filter(({ holds }) => !holds);
      judged.push({ holds: failing.length === 0, reason: reasonsOf(failing.length > 0 ? failing : each) });
    }
    const holding = judged.filter(({ holds }) => holds);
    return { holds: holding.length > 0, reason: reasonsOf(holding.length > 0 ? holding.slice(0, 1) : judged) };
  };
}

function reasonsOf(judged: readonly Judgement[]): string {
  return judged.map(({ reason }) => reason).join(', ');
}

function judgesOf({ last, newerMs, newestOfEach, lastPulledMs }: KeepClauses, tags: readonly TagFacts[]): Judge[] {
  return [
    ...(last === undefined ? [] : [byLast(last, tags)]),
    ...Object.entries(newestOfEach ?? {}).map(([level, count]) => byVersion(level as VersionLevel, count, tags)),
    ...(newerMs === undefined ? [] : [byAge(newerMs)]),
    ...(lastPulledMs === undefined ? [] : [byPull(lastPulledMs)]),
  ];
}

function byLast(count: number, tags: readonly TagFacts[]): Judge {
  // Tags that moved in the same second may have equal times: the higher name, numbers by value, then counts as newer.
  const newestFirst = tags.toSorted((a, b) => b.movedAtMs - a.movedAtMs || BY_NAME.compare(b.tag, a.tag));
  const ranks = new Map(newestFirst.map(({ tag }, index) => [tag, index + 1]));
  return ({ tag }) => {
    const rank = ranks.get(tag) ?? 0;
    return { holds: rank <= count, reason: rank === 1 ? 'newest' : `${ordinal(rank)} newest` };
  };
}

const BY_NAME = new Intl.Collator('en', { numeric: true, sensitivity: 'variant' });

/** Tags of equal versions (`1.2.3`, `v1.2.3`) have the same rank. */
function byVersion(level: VersionLevel, count: number, tags: readonly TagFacts[]): Judge {
  const versions = new Map(tags.map(({ tag }) => [tag, parseVersion(tag)]));
  const parsed = [...versions.values()].filter((version) => version !== undefined);
  const groups = Map.groupBy(parsed, (version) => groupOf(version, level).key);
  const ranks = new Map<Version, number>();
  for (const group of groups.values()) {
    let [rank, before]: [number, Version | undefined] = [0, undefined];
    for (const version of group.toSorted((a, b) => compareVersions(b, a))) {
      if (!before || compareVersions(before, version) !== 0) rank++;
      ranks.set(version, rank);
      before = version;
    }
  }
  return ({ tag }) => {
    const version = versions.get(tag);
    if (!version) return { holds: false, reason: 'no version' };
    const rank = ranks.get(version) ?? 0;
    const { name } = groupOf(version, level);
    return { holds: rank <= count, reason: `${rank === 1 ? 'highest' : `${ordinal(rank)} highest`} of ${name}` };
  };
}

function byAge(newerMs: number): Judge {
  return ({ movedAtMs }, { nowMs }) => {
    const holds = nowMs - movedAtMs < newerMs;
    return { holds, reason: `${holds ? 'newer' : 'not newer'} than ${formatDuration(newerMs)}` };
  };
}

/** A push counts as a pull, and so does the time before pulls were recorded. */
function byPull(lastPulledMs: number): Judge {
  const within = formatDuration(lastPulledMs);
  return ({ movedAtMs, lastPulledAtMs = 0 }, { nowMs, pullsSinceMs = nowMs }) => {
    const isWithin = (atMs: number) => nowMs - atMs < lastPulledMs;
    if (isWithin(movedAtMs)) return { holds: true, reason: `pushed within ${within}` };
    if (isWithin(lastPulledAtMs + DAY_MS)) return { holds: true, reason: `pulled within ${within}` };
    if (isWithin(pullsSinceMs)) return { holds: true, reason: `pulls are recorded for less than ${within}` };
    return { holds: false, reason: `not pulled within ${within}` };
  };
}

/** `1st`, `2nd`, `3rd`, `11th`. */
function ordinal(rank: number): string {
  const isTeen = Math.floor(rank / 10) % 10 === 1;
  return `${rank}${(!isTeen && { 1: 'st', 2: 'nd', 3: 'rd' }[rank % 10]) || 'th'}`;
}
