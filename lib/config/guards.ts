// The keys that close a registry, the rules of retention, and quotas. A misspelt one would leave the registry open, or have no
// effect, so it is an error.
import { closestName } from './closest-name.ts';
import { expandEnv, type Variables } from './expand-env.ts';
import { isOff } from './value-types.ts';
import { isMap, type YamlMap, type YamlNode } from './yaml-nodes.ts';

export const GUARDS = ['auth', 'access', 'immutable_tags', 'retention', 'quotas'];

/** Names for these in other programs. */
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

/** The key that closes a registry and that an unknown key is probably meant to be. */
export function guardMeantBy(name: string): string | undefined {
  const lower = name.toLowerCase();
  return Object.hasOwn(OTHER_NAMES, lower) ? OTHER_NAMES[lower] : closestName(name, GUARDS);
}

/** The first key of a map that closes the registry. */
export function guardIn(node: YamlNode | undefined): string | undefined {
  return isMap(node) ? GUARDS.find((name) => node.has(name)) : undefined;
}

/** Whether these keys of a file close the registry, given the current environment variables. */
export function isClosedBy(keys: YamlMap, variables: Variables): boolean {
  const node = keys.get('auth');
  return node !== undefined && !isOff(expandEnv(node, variables));
}
