import { ACTIONS, type Action } from '../auth/callers/caller.ts';
import type { AccessRule } from '../auth/rules/permissions.ts';
import { isNull, list, NotAllowedError, type ValueType } from './value-types.ts';
import { isMap, lineOf, type YamlMap, type YamlNode } from './yaml-nodes.ts';
import { parsed } from './yaml-values.ts';

const RULE_KEYS = ['repositories', 'users', 'groups', 'actions', 'deny'] as const;
type RuleKey = (typeof RULE_KEYS)[number];

/** A list of maps. A misspelt key in a rule is an error, since a rule read wrongly could open the registry. */
export const accessRules: ValueType<AccessRule[]> = {
  allowed: 'a list of rules, each with repositories, users or groups, and actions or deny',
  parse(node) {
    const value = parsed(node);
    if (isNull(value)) return null;
    return Array.isArray(value) ? value.map((item: YamlNode, index) => parseRule(item, index + 1)) : undefined;
  },
  format: (rules) => rules.map(formatRule),
};

/** The rule as an operator writes it. */
export function formatRule({ repositories, users, groups, effect, actions }: AccessRule): Record<string, string[]> {
  return {
    repositories,
    ...(users.length > 0 && { users }),
    ...(groups.length > 0 && { groups }),
    [effect === 'allows' ? 'actions' : 'deny']: actions,
  };
}

function parseRule(node: YamlNode, number: number): AccessRule {
  const fail = (problem: string): never => {
    throw new NotAllowedError(`rule ${number} ${problem}`, lineOf(node));
  };
  if (!isMap(node)) return fail('is not a map');
  const unknown = [...node.keys()].find((key) => !RULE_KEYS.some((known) => known === key));
  if (unknown !== undefined) fail(`has ${unknown}; allowed: ${RULE_KEYS.join(', ')}`);
  const texts = (key: RuleKey) => textsOf(node, key) ?? fail(`has ${key} that are neither a text nor a list of texts`);
  const rule = { repositories: texts('repositories'), users: texts('users'), groups: texts('groups') };
  if (rule.repositories.length === 0) fail("names no repositories; allowed: patterns such as team/*, or '*' for all");
  if (rule.users.length === 0 && rule.groups.length === 0) {
    fail(
      "names no callers; allowed: users, groups, and in users '*' (all callers with a login) or anonymous (all callers)",
    );
  }
  if (node.has('actions') === node.has('deny')) fail('must have actions, which it allows, or deny, and not both');
  const key = node.has('deny') ? 'deny' : 'actions';
  const actions = texts(key).flatMap(
    (word) => actionsOf(word) ?? fail(`has ${key} ${word}; allowed: ${ACTIONS.join(', ')}, '*'`),
  );
  if (actions.length === 0) fail(`has no ${key}; allowed: ${ACTIONS.join(', ')}, '*'`);
  return { ...rule, effect: key === 'deny' ? 'denies' : 'allows', actions: [...new Set(actions)] };
}

function textsOf(rule: YamlMap, key: RuleKey): string[] | undefined {
  const node = rule.get(key);
  return node === undefined ? [] : (list.parse(node) ?? undefined);
}

function actionsOf(word: string): readonly Action[] | undefined {
  if (word === '*') return ACTIONS;
  const action = ACTIONS.find((known) => known === word);
  return action && [action];
}
