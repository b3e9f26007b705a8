import { ConfigError } from './config-error.ts';
import { expandEnv, type Variables } from './expand-env.ts';
import { COMMON, isFlavorLike } from './flavor-names.ts';
import { isClosedBy } from './guards.ts';
import { position } from './position.ts';
import { boolean, isOff } from './value-types.ts';
import { isMap, isScalar, lineOf, type YamlMap, type YamlNode } from './yaml-nodes.ts';

export type Flavor = {
  name: string | undefined;
  keys: YamlMap;
  /** The first line of the flavor. */
  line: number | undefined;
};

/**
 * The keys of the flavor that SETTINGS_FLAVOR names (`dev` if it is not set), on top of those of `common`, shallow.
 * With an empty SETTINGS_FLAVOR the top level of the file is the configuration.
 * @throws ConfigError
 */
export function selectFlavor(file: string, root: YamlNode, variables: Variables): Flavor {
  const { env } = variables;
  if (!isMap(root)) {
    throw new ConfigError(
      `${position(file, lineOf(root))} must be a map of flavors, or of keys; it is ${shapeOf(root)}`,
    );
  }
  const name = env.SETTINGS_FLAVOR ?? 'dev';
  if (name === '') return { name: undefined, keys: root, line: undefined };

  const own = mapOrEmpty(root.get(name));
  if (!own) throw new ConfigError(problem(file, name, root));
  const line = lineOf(root.get(name));
  const base = mapOrEmpty(root.get(COMMON) ?? new Map());
  if (!base) throw new ConfigError(`${position(file, lineOf(root.get(COMMON)))} common must be a map of keys`);
  const isBase = commonIsBase(env);
  const keys = new Map([...(isBase ? base : []), ...own]);
  checkGuards({ file, name, base, own, keys, isBase, variables });
  return { name, keys, line };
}

/**
 * Checks that no key in `common` that closes the registry is left out by accident: by docker-registry's SETTINGS_COMMON, or by
 * a variable that is not set.
 * @throws ConfigError
 */
function checkGuards(flavor: {
  file: string;
  name: string;
  base: YamlMap;
  own: YamlMap;
  keys: YamlMap;
  isBase: boolean;
  variables: Variables;
}): void {
  const { file, name, base, own, keys, isBase, variables } = flavor;
  if (!isClosedBy(base, variables)) return;
  const line = lineOf(base.get('auth'));
  if (!isBase && !keys.has('auth')) {
    throw new ConfigError(
      `${position(file, line, 'auth')} of common does not count in ${name}: SETTINGS_COMMON is off; add "<<: *common" to ${name}, or auth: null for an open registry`,
    );
  }
  const written = own.get('auth');
  const effective = written && expandEnv(written, variables);
  if (!isScalar(effective) || !effective.variable || !isOff(effective) || written === base.get('auth')) return;
  throw new ConfigError(
    `${position(file, lineOf(written), 'auth')} of ${name} hides that of common (in line ${line}), but the variable ${effective.variable.name} is not set; set it, or remove the line; auth: null is an open registry`,
  );
}

/** docker-registry merged `common` into every flavor up to 0.7.3; from 0.8.0 on only with an explicit `<<: *common`. */
function commonIsBase(env: NodeJS.ProcessEnv): boolean {
  const text = env.SETTINGS_COMMON ?? '';
  const value = boolean.parse({ text, isPlain: true });
  if (value === undefined) {
    throw new ConfigError(`SETTINGS_COMMON ${JSON.stringify(text)} is not allowed; allowed: ${boolean.allowed}`);
  }
  return value ?? true;
}

/** `dev:` without a value is a flavor without keys of its own. */
function mapOrEmpty(node: YamlNode | undefined): YamlMap | undefined {
  if (isMap(node)) return node;
  return isScalar(node) && node.isPlain && node.text === '' ? new Map() : undefined;
}

function shapeOf(node: YamlNode): string {
  if (!isScalar(node)) return 'a list';
  return node.text === '' ? 'empty' : 'a text';
}

function problem(file: string, name: string, root: YamlMap): string {
  const quoted = JSON.stringify(name);
  const found = root.get(name);
  if (found) return `${position(file, lineOf(found))} ${name} is not a flavor: a flavor is a map of keys`;
  const version = root.get('version');
  if (isScalar(version)) {
    return `${position(file, lineOf(version))} version: ${version.text.slice(0, 10)} begins a file of registry:2 (distribution), which is another format: start from the config.yml that comes with Stowage`;
  }
  const flavors = [...root].flatMap(([flavor, node]) => (isFlavorLike(flavor, node) ? [flavor] : []));
  const where = position(file, undefined);
  if (flavors.length > 0)
    return `${where} there is no flavor ${quoted} (SETTINGS_FLAVOR); there are ${flavors.join(', ')}`;
  return `${where} there is no flavor ${quoted}; for a file without flavors set SETTINGS_FLAVOR to nothing`;
}
