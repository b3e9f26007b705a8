import { retentionRules } from '../../../lib/config/retention-rules.ts';
import { parseYaml } from '../../../lib/config/yaml.ts';
import { DAY_MS } from '../../../lib/model/duration.ts';
import type { RetentionSettings } from '../../../lib/registry/retention/settings.ts';

/** @param rules YAML, as in the configuration */
export function retentionBy(rules: string): RetentionSettings {
  return { rules: retentionRules.parse(parseYaml(rules)) ?? [], undoMs: 14 * DAY_MS, ignorePullsBy: ['trivy'] };
}
