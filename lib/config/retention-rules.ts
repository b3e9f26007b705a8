import { DAY_MS } from '../model/duration.ts';
import { coversRepositories, matcherOf, REPOSITORY_PATTERN } from '../model/name-pattern.ts';
import { formatRule } from '../registry/retention/format-rule.ts';
import {
  isAboutVersions,
  isTagRule,
  type Keep,
  type KeepClauses,
  type RetentionRule,
  type TagRule,
  type VersionLevel,
} from '../registry/retention/rules.ts';
import { closestName } from './closest-name.ts';
import { duration } from './duration.ts';
import { integer, isNull, list, NotAllowedError, type ValueType } from './value-types.ts';
import { isMap, isScalar, lineOf, type YamlMap, type YamlNode } from './yaml-nodes.ts';
import { parsed } from './yaml-values.ts';

const RULE_KEYS = ['repositories', 'tags', 'keep', 'expires', 'untagged'] as const;
const DECIDING_KEYS = ['keep', 'expires', 'untagged'] as const;
const CLAUSES = ['last', 'newer', 'newest_of_each', 'last_pulled'] as const;
const LEVELS = ['major', 'minor', 'patch'] as const satisfies VersionLevel[];

/** More than any tag list has; a rank beyond it is a mistake. */
const MAX_COUNT = 1_000_000;

const COUNT = integer(1, MAX_COUNT);
const AGE = duration(1000);
/** Pulls are recorded by the day, and a push of many parts may take hours before its index names them. */
const DAYS = duration(DAY_MS);

/** Characters of patterns of tags, as `REPOSITORY_PATTERN`. */
const TAG_PATTERN = /^[A-Za-z0-9_*][A-Za-z0-9._~*+%-]{0,127}$/;

/**
 * A list of rules. What is unknown, empty, contradictory or without effect is an error: a rule read wrongly could delete tags
 * that shall be kept.
 */
export const retentionRules: ValueType<RetentionRule[]> = {
  allowed: 'a list of rules, each with repositories, and keep, expires or untagged',
  parse(node) {
    const value = parsed(node);
    if (isNull(value)) return null;
    if (!Array.isArray(value)) return undefined;
    if (value.length === 0) {
      throw new NotAllowedError('has no rule; leave the key out, and nothing is deleted', lineOf(value));
    }
    const rules = value.map((item: YamlNode, index) => new RuleReader(item, index + 1).read());
    for (const [index, rule] of rules.entries()) {
      const covering = rules.slice(0, index).find((earlier) => covers(earlier, rule));
      if (covering) {
        const problem = `can match nothing: rule ${covering.number}, before it, matches all of the same`;
        throw new NotAllowedError(`rule ${rule.number} ${problem}`, lineOf(value[index]));
      }
    }
    return rules;
  },
  format: (rules) => rules.map(formatRule),
};

class RuleReader {
  readonly #node: YamlNode;
  readonly #number: number;

  constructor(node: YamlNode, number: number) {
    this.#node = parsed(node);
    this.#number = number;
  }

  read(): RetentionRule {
    const node = this.#node;
    if (!isMap(node)) return this.#fail('is not a map');
    if (node.size === 0) return this.#fail(`is empty; allowed: ${RULE_KEYS.join(', ')}`);
    this.#checkKeys(node, RULE_KEYS, 'has');
    const repositories = this.#patterns(node, 'repositories', REPOSITORY_PATTERN);
    if (!repositories) return this.#fail("names no repositories; allowed: patterns such as team/*, or '**' for all");
    const deciding = DECIDING_KEYS.filter((key) => node.has(key));
    if (deciding.length !== 1) {
      const found = deciding.length === 0 ? 'none of them' : deciding.join(' and ');
      return this.#fail(`must have one of keep, expires and untagged; it has ${found}`);
    }
    const rule = { number: this.#number, repositories };
    if (node.has('untagged')) {
      if (node.has('tags')) return this.#fail('has tags and untagged: an untagged manifest has no tag');
      return { ...rule, untagged: this.#untagged(node.get('untagged')) };
    }
    const tags = this.#patterns(node, 'tags', TAG_PATTERN);
    const about = { ...rule, ...(tags && { tags }) };
    if (!node.has('expires')) return { ...about, keep: this.#keep(node.get('keep')) };
    const expires = node.get('expires');
    if (textOf(expires) !== 'label') this.#fail('has an expires that is not allowed; allowed: label', expires);
    return { ...about, expires: 'label' };
  }

  #untagged(node: YamlNode | undefined): 'keep' | { olderThanMs: number } {
    if (textOf(node) === 'keep') return 'keep';
    return { olderThanMs: this.#value('untagged', node, { ...DAYS, allowed: `keep, or ${DAYS.allowed}` }) };
  }

  #keep(node: YamlNode | undefined): 'always' | Keep {
    if (textOf(node) === 'always') return 'always';
    const allowed = `always, or a map with ${CLAUSES.join(', ')}, all_of`;
    if (!isMap(node)) return this.#fail(`has a keep that is not allowed; allowed: ${allowed}`, node);
    if (node.size === 0) return this.#fail(`has an empty keep, which keeps nothing; allowed: ${allowed}`, node);
    this.#checkKeys(node, [...CLAUSES, 'all_of'], 'has in keep');
    const all = node.get('all_of');
    if (all === undefined) return this.#clauses(node);
    if (!isMap(all) || all.size < 2) {
      return this.#fail(`must have two clauses or more in all_of; allowed: ${CLAUSES.join(', ')}`, all);
    }
    this.#checkKeys(all, CLAUSES, 'has in all_of');
    return { ...this.#clauses(node), allOf: this.#clauses(all) };
  }

  #clauses(node: YamlMap): KeepClauses {
    const read = <T>(key: (typeof CLAUSES)[number], type: ValueType<T>): T | undefined =>
      node.has(key) ? this.#value(key, node.get(key), type) : undefined;
    const last = read('last', COUNT);
    const newerMs = read('newer', AGE);
    const lastPulledMs = read('last_pulled', DAYS);
    const newestOfEach = node.has('newest_of_each') ? this.#levels(node.get('newest_of_each')) : undefined;
    return {
      ...(last !== undefined && { last }),
      ...(newerMs !== undefined && { newerMs }),
      ...(newestOfEach && { newestOfEach }),
      ...(lastPulledMs !== undefined && { lastPulledMs }),
    };
  }

  #levels(node: YamlNode | undefined): Partial<Record<VersionLevel, number>> {
    const level = LEVELS.find((known) => known === textOf(node));
    if (level) return { [level]: 1 };
    const allowed = `${LEVELS.join(', ')}, or a map of them with numbers, such as {minor: 3}`;
    if (!isMap(node) || node.size === 0) {
      return this.#fail(`has a newest_of_each that is not allowed; allowed: ${allowed}`, node);
    }
    this.#checkKeys(node, LEVELS, 'has in newest_of_each');
    return Object.fromEntries([...node].map(([key, item]) => [key, this.#value(key, item, COUNT)]));
  }

  /** Undefined if the key is missing. */
  #patterns(node: YamlMap, key: 'repositories' | 'tags', form: RegExp): string[] | undefined {
    const item = node.get(key);
    if (item === undefined) return undefined;
    const patterns = list.parse(item);
    if (!patterns) return this.#fail(`has ${key} that are neither a text nor a list of texts`, item);
    if (patterns.length === 0) return this.#fail(`has no pattern in ${key}`, item);
    const wrong = patterns.find((pattern) => !form.test(pattern));
    if (wrong !== undefined) {
      const problem = `${JSON.stringify(wrong)} in ${key}, which no name can match`;
      return this.#fail(`has ${problem}; allowed: names in which * stands for any text (no regular expressions)`, item);
    }
    return patterns;
  }

  #value<T>(key: string, node: YamlNode | undefined, type: ValueType<T>): T {
    const value = node && type.parse(node);
    if (value !== undefined && value !== null) return value;
    return this.#fail(`has a ${key} that is not allowed; allowed: ${type.allowed}`, node);
  }

  #checkKeys(node: YamlMap, allowed: readonly string[], where: string): void {
    const unknown = [...node.keys()].find((key) => !allowed.includes(key));
    if (unknown === undefined) return;
    const closest = closestName(unknown, allowed);
    const meant = closest ? `did you mean ${closest}?` : `allowed: ${allowed.join(', ')}`;
    this.#fail(`${where} ${unknown}; ${meant}`, node.get(unknown));
  }

  #fail(problem: string, at?: YamlNode): never {
    throw new NotAllowedError(`rule ${this.#number} ${problem}`, lineOf(at) ?? lineOf(this.#node));
  }
}

function textOf(node: YamlNode | undefined): string | undefined {
  return isScalar(node) ? node.text.trim() : undefined;
}

/** Whether the earlier rule decides about everything that the later one could match. */
function covers(earlier: RetentionRule, later: RetentionRule): boolean {
  if (!coversRepositories(earlier.repositories, later.repositories)) return false;
  if (!isTagRule(earlier) || !isTagRule(later)) return !isTagRule(earlier) && !isTagRule(later);
  return coversConditions(earlier, later) && coversPatterns(earlier.tags ?? ['*'], later.tags ?? ['*']);
}

/** A rule by label, or about versions, passes the other tags on. */
function coversConditions(earlier: TagRule, later: TagRule): boolean {
  if ('expires' in earlier) return 'expires' in later;
  return !isAboutVersions(earlier) || isAboutVersions(later);
}

/** A `*` of the later pattern is matched only by a `*` of the earlier one, which then matches all that it stands for. */
function coversPatterns(earlier: readonly string[], later: readonly string[]): boolean {
  const matchers = earlier.map((pattern) => matcherOf(pattern.replaceAll(/\*+/g, '*')));
  return later.every((pattern) => matchers.some((matches) => matches(pattern)));
}
