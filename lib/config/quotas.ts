import { coversRepositories } from '../model/name-pattern.ts';
import { formatSize, parseSize } from '../model/size.ts';
import type { Quota } from '../registry/usage/quotas.ts';
import { checkItemKeys, failOf, readRepositoryPatterns } from './list-item.ts';
import { isNull, NotAllowedError, text, type ValueType } from './value-types.ts';
import { isMap, lineOf, type YamlNode } from './yaml-nodes.ts';
import { parsed } from './yaml-values.ts';

const KEYS = ['repositories', 'bytes'] as const;
const SIZE = 'a size of at least one byte, such as 500MB or 50GiB';

/** A list of quotas. What is unknown, empty or without effect is an error: a quota read wrongly would limit nothing. */
export const quotas: ValueType<Quota[]> = {
  allowed: 'a list of quotas, each with repositories and bytes',
  parse(node) {
    const value = parsed(node);
    if (isNull(value)) return null;
    if (!Array.isArray(value)) return undefined;
    if (value.length === 0) throw new NotAllowedError('has no quota; leave the key out for none', lineOf(value));
    const read = value.map((item: YamlNode, index) => readQuota(item, index + 1));
    for (const [index, { repositories }] of read.entries()) {
      const covering = read
        .slice(0, index)
        .findIndex((earlier) => coversRepositories(earlier.repositories, repositories));
      if (covering >= 0) {
        const problem = `can match nothing: quota ${covering + 1}, before it, matches all of the same`;
        throw new NotAllowedError(`quota ${index + 1} ${problem}`, lineOf(value[index]));
      }
    }
    return read;
  },
  format: (read) =>
    read.map(({ repositories, limitBytes }) => ({ repositories: [...repositories], bytes: formatSize(limitBytes) })),
};

/** @param number from 1 on, for messages */
function readQuota(item: YamlNode, number: number): Quota {
  const node = parsed(item);
  const fail = failOf(`quota ${number}`, node);
  if (!isMap(node) || node.size === 0) return fail(`must be a map with ${KEYS.join(' and ')}`);
  checkItemKeys(node, KEYS, fail);
  const allowed = "patterns such as team/*, or '**' for all";
  const repositories = readRepositoryPatterns(node.get('repositories'), { fail, allowed });
  const bytesNode = node.get('bytes');
  const written = bytesNode && text.parse(bytesNode);
  const limitBytes = written ? parseSize(written.trim()) : undefined;
  if (!limitBytes) return fail(`has no bytes that are allowed; allowed: ${SIZE}`, bytesNode);
  return { repositories, limitBytes };
}
