// Items of lists that are maps: quotas, trusted keys.
import { REPOSITORY_PATTERN } from '../model/name-pattern.ts';
import { closestName } from './closest-name.ts';
import { list, NotAllowedError } from './value-types.ts';
import { lineOf, type YamlMap, type YamlNode } from './yaml-nodes.ts';

/** Refuses an item, with the line of `at`, else that of the item. @throws NotAllowedError */
export type Fail = (problem: string, at?: YamlNode) => never;

/** @param name of the item in messages: `quota 2` */
export function failOf(name: string, item: YamlNode): Fail {
  return (problem, at) => {
    throw new NotAllowedError(`${name} ${problem}`, lineOf(at) ?? lineOf(item));
  };
}

/** Refuses an item that has another key than these. @throws NotAllowedError */
export function checkItemKeys(item: YamlMap, keys: readonly string[], fail: Fail): void {
  const unknown = [...item.keys()].find((key) => !keys.includes(key));
  if (unknown === undefined) return;
  const closest = closestName(unknown, keys);
  fail(`has ${unknown}; ${closest ? `did you mean ${closest}?` : `allowed: ${keys.join(', ')}`}`, item.get(unknown));
}

/**
 * Reads patterns of repositories.
 * @param options.allowed what the message says where there is none
 * @throws NotAllowedError if there is none, or one that no name can match
 */
export function readRepositoryPatterns(
  node: YamlNode | undefined,
  { fail, allowed }: { fail: Fail; allowed: string },
): string[] {
  const patterns = node && list.parse(node);
  if (!patterns || patterns.length === 0) return fail(`names no repositories; allowed: ${allowed}`, node);
  const wrong = patterns.find((pattern) => !REPOSITORY_PATTERN.test(pattern));
  if (wrong !== undefined) return fail(`has ${JSON.stringify(wrong)} in repositories, which no name can match`, node);
  return patterns;
}
