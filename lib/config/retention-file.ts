import type { RetentionRule } from '../registry/retention/rules.ts';
import { ConfigError } from './config-error.ts';
import { position } from './position.ts';
import { retentionRules } from './retention-rules.ts';
import { NotAllowedError } from './value-types.ts';
import { parseYaml } from './yaml.ts';
import { isMap, lineOf, YamlError, type YamlNode } from './yaml-nodes.ts';

const SECTION_KEYS = ['undo', 'rules', 'ignore_pulls_by'];

/**
 * Reads rules that stand in a file of their own: a list, or the section `retention` as a configuration has it.
 * @throws ConfigError
 */
export function readRetentionRules(file: string, text: string): RetentionRule[] {
  try {
    const rules = retentionRules.parse(rulesIn(parseYaml(text)));
    if (rules) return rules;
    throw new ConfigError(`${file}: is not allowed; allowed: ${retentionRules.allowed}`);
  } catch (error) {
    if (error instanceof YamlError)
      throw new ConfigError(`${file}: is not valid YAML: ${error.message}`, { cause: error });
    if (error instanceof NotAllowedError) throw new ConfigError(`${position(file, error.line)} ${error.message}`);
    throw error;
  }
}

/** @throws NotAllowedError for a map that is no such section */
function rulesIn(node: YamlNode): YamlNode {
  if (!isMap(node)) return node;
  const section = node.get('retention');
  const rules = isMap(section) ? section.get('rules') : undefined;
  const unknown = [...node.keys()].find((key) => key !== 'retention') ?? unknownIn(section);
  if (rules !== undefined && unknown === undefined) return rules;
  const found = unknown === undefined ? 'has no retention.rules' : `has ${unknown}`;
  throw new NotAllowedError(`${found}; allowed: a list of rules, or retention with its rules`, lineOf(node));
}

function unknownIn(section: YamlNode | undefined): string | undefined {
  return isMap(section) ? [...section.keys()].find((key) => !SECTION_KEYS.includes(key)) : undefined;
}
