import type { RetentionRule } from '../registry/retention/rules.ts';
import { ConfigError } from './config-error.ts';
import { position } from './position.ts';
import { retentionRules } from './retention-rules.ts';
import { NotAllowedError } from './value-types.ts';
import { parseYaml } from './yaml.ts';
import { YamlError } from './yaml-nodes.ts';

/**
 * Reads rules that stand in a file of their own, which is a list.
 * @throws ConfigError
 */
export function readRetentionRules(file: string, text: string): RetentionRule[] {
  try {
    const rules = retentionRules.parse(parseYaml(text));
    if (rules) return rules;
    throw new ConfigError(`${file}: is not allowed; allowed: ${retentionRules.allowed}`);
  } catch (error) {
    if (error instanceof YamlError)
      throw new ConfigError(`${file}: is not valid YAML: ${error.message}`, { cause: error });
    if (error instanceof NotAllowedError) throw new ConfigError(`${position(file, error.line)} ${error.message}`);
    throw error;
  }
}
