import { dump, YAML11_SCHEMA } from 'js-yaml';
import type { LoadedConfig } from './load.ts';
import type { Setting } from './settings.ts';

/**
 * The configuration in effect as a file that leads to the same configuration, in the same environment: each value with where
 * it came from. Secrets are masked, and a mask is accepted nowhere. For `stowage config`.
 */
export function describeConfig({ config: { file, flavor }, settings }: LoadedConfig): string {
  const variables = settings.filter(({ isVariable }) => isVariable);
  const keys = settings.filter(({ isVariable }) => !isVariable);
  const head = [`# ${file}, secrets masked`, ...variables.map((setting) => `# ${line(setting)}`)];
  if (flavor === undefined) return `${[...head, ...lines(keys)].join('\n')}\n`;
  return `${[...head, entry(flavor, {}).replace(/ \{\}$/, ''), ...lines(keys).map((text) => `  ${text}`)].join('\n')}\n`;
}

/** A nested map's keys stand together, as they were read. */
function lines(settings: readonly Setting[]): string[] {
  let outer = '';
  return settings.flatMap((setting) => {
    const [map = '', inner] = setting.name.split('.');
    const isNext = inner !== undefined && map !== outer;
    outer = map;
    if (inner === undefined) return [line(setting)];
    const nested = `  ${line({ ...setting, name: inner })}`;
    return isNext ? [`${map}:`, nested] : [nested];
  });
}

function line({ name, value, origin }: Setting): string {
  return `${entry(name, value)}  # ${origin}`;
}

/** On one line whatever the value, so that a comment can follow. */
function entry(key: string, value: unknown): string {
  const map = dump({ [key]: value }, { schema: YAML11_SCHEMA, flowLevel: 0, lineWidth: -1, noRefs: true });
  return map.trim().slice(1, -1);
}
