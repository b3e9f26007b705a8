import { ConfigError } from './config-error.ts';
import { boolean } from './value-types.ts';
import { isMap, isScalar, type YamlMap, type YamlNode } from './yaml.ts';

export type Flavor = { name: string | undefined; keys: YamlMap };

/**
 * The keys of the flavor that SETTINGS_FLAVOR names (`dev` if it is not set), on top of those of `common`, shallow.
 * With an empty SETTINGS_FLAVOR the top level of the file is the configuration.
 * @throws ConfigError
 */
export function selectFlavor(file: string, root: YamlNode, env: NodeJS.ProcessEnv): Flavor {
  if (!isMap(root)) throw new ConfigError(`${file}: must be a map of flavors, or of keys`);
  const name = env.SETTINGS_FLAVOR ?? 'dev';
  if (name === '') return { name: undefined, keys: root };

  const flavor = mapOrEmpty(root.get(name));
  if (!flavor) throw new ConfigError(`${file}: ${problem(name, root)}`);
  const common = commonIsBase(env) ? mapOrEmpty(root.get('common') ?? new Map()) : new Map();
  if (!common) throw new ConfigError(`${file}: common must be a map of keys`);
  return { name, keys: new Map([...common, ...flavor]) };
}

/** docker-registry put `common` below every flavor up to 0.7.3; from 0.8.0 on only where the file said `<<: *common`. */
function commonIsBase(env: NodeJS.ProcessEnv): boolean {
  const text = env.SETTINGS_COMMON ?? '';
  const value = boolean.parse({ text, isPlain: true });
  if (value === undefined) {
    throw new ConfigError(`SETTINGS_COMMON ${JSON.stringify(text)} is not allowed; allowed: ${boolean.allowed}`);
  }
  return value ?? true;
}

/** `dev:` with nothing below it is a flavor without keys of its own. */
function mapOrEmpty(node: YamlNode | undefined): YamlMap | undefined {
  if (isMap(node)) return node;
  return isScalar(node) && node.isPlain && node.text === '' ? new Map() : undefined;
}

function problem(name: string, root: YamlMap): string {
  const flavors = [...root].filter(([, node]) => mapOrEmpty(node)).map(([flavor]) => flavor);
  const quoted = JSON.stringify(name);
  if (root.has(name)) return `${name} is not a flavor: a flavor is a map of keys`;
  if (flavors.length > 0) return `there is no flavor ${quoted} (SETTINGS_FLAVOR); there are ${flavors.join(', ')}`;
  return `there is no flavor ${quoted}; for a file without flavors set SETTINGS_FLAVOR to nothing`;
}
