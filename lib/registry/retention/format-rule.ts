import { formatDuration } from '../../model/duration.ts';
import { isTagRule, type Keep, type RetentionRule } from './rules.ts';

/** The rule as an operator writes it. */
export function formatRule(rule: RetentionRule): Record<string, unknown> {
  const { repositories } = rule;
  if (!isTagRule(rule)) {
    const { untagged } = rule;
    return { repositories, untagged: untagged === 'keep' ? untagged : formatDuration(untagged.olderThanMs) };
  }
  const about = { repositories, ...(rule.tags && { tags: rule.tags }) };
  if ('expires' in rule) return { ...about, expires: rule.expires };
  return { ...about, keep: rule.keep === 'always' ? rule.keep : formatKeep(rule.keep) };
}

function formatKeep({ last, newerMs, newestOfEach, lastPulledMs, allOf }: Keep): Record<string, unknown> {
  return {
    ...(last !== undefined && { last }),
    ...(newerMs !== undefined && { newer: formatDuration(newerMs) }),
    ...(newestOfEach && { newest_of_each: newestOfEach }),
    ...(lastPulledMs !== undefined && { last_pulled: formatDuration(lastPulledMs) }),
    ...(allOf && { all_of: formatKeep(allOf) }),
  };
}
