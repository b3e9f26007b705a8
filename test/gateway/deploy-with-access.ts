import type { JsonObject } from '../../lib/model/json.ts';
import { htpasswdOf } from '../auth/test-auth.ts';
import { type Deployment, deploy } from './deployment.ts';
import { objectOf } from './template.ts';

/** The realm of the stack, which its template does not let anybody choose. */
export const REALM = 'Stowage';

/** The host of the stack that tells clients where tokens are: it is nowhere, so nothing may be sent there. */
const HOST = 'registry.example.com';

/** Where clients know the registry, which the gateway of a private one tells from their requests. */
export function originOf({ gateway }: Deployment, isOpenToAll: boolean): string {
  return isOpenToAll ? `https://${HOST}` : gateway.url.origin;
}

/**
 * The stack with these users, with search, and with the access rules that an owner would write into its config.yml.
 * @param isOpenToAll which of the two ways to ask for a login the gateway has: for a token, or for a password
 */
export async function deployWithAccess(
  users: readonly string[],
  access: readonly object[],
  isOpenToAll: boolean,
): Promise<Deployment> {
  return await deploy({
    parameters: { PushEndpoint: 'none', ...(isOpenToAll && { Access: 'anonymous-pull', RegistryHost: HOST }) },
    htpasswd: await htpasswdOf(users),
    edit(template) {
      const variables = ['Resources', 'RequestHandler', 'Properties', 'Environment', 'Variables'].reduce(
        (map: JsonObject, name) => objectOf(map[name] ?? null, name),
        template,
      );
      Object.assign(variables, { ACCESS: JSON.stringify(access), SEARCH_BACKEND: 'sqlalchemy' });
    },
  });
}
