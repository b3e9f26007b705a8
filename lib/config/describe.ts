import { dump, YAML11_SCHEMA } from 'js-yaml';
import type { LoadedConfig } from './read-parsed.ts';
import type { Setting } from './settings.ts';

/**
 * The effective configuration as the text of a file that, in the same environment, gives the same configuration. Each value
 * has a comment with its origin. Secrets are masked, and a mask is never accepted as a value. For `stowage config`.
 */
export function describeConfig({ config: { file, flavor }, settings }: LoadedConfig): string {
  const variables = settings.filter(({ isVariable }) => isVariable);
  const keys = settings.filter(({ isVariable }) => !isVariable);
  const head = [`# ${file}, secrets masked`, ...variables.map((setting) => `# ${line(setting)}`)];
  if (flavor === undefined) return `${[...head, ...lines(keys)].join('\n')}\n`;
  return `${[...head, entry(flavor, {}).replace(/ \{\}$/, ''), ...lines(keys).map((text) => `  ${text}`)].join('\n')}\n`;
}

/** Groups the keys of nested maps, in the order they were read. */
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

/** Always on one line, so that a comment can follow. */
function entry(key: string, value: unknown): string {
  const map = dump({ [key]: value }, { schema: YAML11_SCHEMA, flowLevel: 0, lineWidth: -1, noRefs: true });
  return map.trim().slice(1, -1);
}
