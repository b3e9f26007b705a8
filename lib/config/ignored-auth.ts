// Signs that the operator of an open registry wants logins: settings of other registries that have no effect here.
import { ConfigError } from './config-error.ts';
import type { Variables } from './expand-env.ts';
import { isClosedBy } from './guards.ts';
import { position } from './position.ts';
import { isMap, lineOf, type YamlMap } from './yaml-nodes.ts';

/** The variables by which distribution (registry:2) is given its users. */
const REGISTRY_2 = /^REGISTRY_AUTH(?:_|$)/;

/**
 * For a configuration without `auth`.
 * @param remedy says how to set users there
 * @param flavor undefined if the top level of the file is the configuration, whose keys are checked as such
 * @returns warnings, one line each
 * @throws ConfigError for a variable that names users but has no effect here
 */
export function checkIgnoredAuth(
  { path, text, remedy = "set AUTH='{htpasswd: ./users}'" }: { path: string; text: string; remedy?: string },
  root: YamlMap,
  flavor: string | undefined,
  variables: Variables,
): string[] {
  const { env } = variables;
  const foreign = Object.keys(env).find((name) => REGISTRY_2.test(name) && env[name]);
  if (foreign) {
    throw new ConfigError(
      `the variable ${foreign} is one of registry:2 and means nothing here, but ${path} has no auth, so the registry would be open; ${remedy} instead, or unset ${foreign}`,
    );
  }
  const warnings: string[] = [];
  if (env.AUTH && !text.includes('_env:AUTH')) {
    warnings.push(`${path}: the variable AUTH is set, but no key reads it (auth: _env:AUTH): the registry is open`);
  }
  for (const [name, node] of flavor === undefined ? [] : root) {
    if (name === flavor || !isMap(node) || !isClosedBy(node, variables)) continue;
    const where = position(path, lineOf(node.get('auth')), 'auth');
    warnings.push(
      `${where} of ${name} does not count: the flavor ${flavor}, which is in effect, has none, so the registry is open`,
    );
  }
  return warnings;
}
