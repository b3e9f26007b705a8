// The keys that close a registry. A slip of the pen in one of their names would leave it open, so it is an error.
import { closestName } from './closest-name.ts';
import { expandEnv } from './expand-env.ts';
import { isOff } from './value-types.ts';
import { isMap, type YamlMap, type YamlNode } from './yaml-nodes.ts';

const GUARDS = ['auth', 'access', 'immutable_tags'];

/** What operators of other programs call these. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  htpasswd: 'auth.htpasswd',
  users: 'auth.htpasswd',
  realm: 'auth.realm',
  oidc: 'auth.oidc',
  authentication: 'auth',
  authorization: 'access',
  acl: 'access',
  acls: 'access',
  permissions: 'access',
  policies: 'access',
  policy: 'access',
  rules: 'access',
};

/** The guard that a key which is none seems to mean. */
export function guardMeantBy(name: string): string | undefined {
  const lower = name.toLowerCase();
  return Object.hasOwn(OTHER_NAMES, lower) ? OTHER_NAMES[lower] : closestName(name, GUARDS);
}

/** The first of the guards that a map sets itself. */
export function guardIn(node: YamlNode | undefined): string | undefined {
  return isMap(node) ? GUARDS.find((name) => node.has(name)) : undefined;
}

/** Whether these keys of a file close the registry, with the variables as they are. */
export function isClosedBy(keys: YamlMap, env: NodeJS.ProcessEnv): boolean {
  const node = keys.get('auth');
  return node !== undefined && !isOff(expandEnv(node, env));
}
