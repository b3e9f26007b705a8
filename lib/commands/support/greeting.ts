import { ANONYMOUS } from '../../auth/callers/caller.ts';
import { Permissions } from '../../auth/rules/permissions.ts';
import type { Config } from '../../config/config.ts';
import { parseRepositoryName } from '../../model/names.ts';

/** Docker speaks plain HTTP to localhost; to other hosts only if its settings list them as insecure registries. */
const REACHED_AS_LOCALHOST = ['127.0.0.1', '0.0.0.0', '[::]', '[::1]'];

/**
 * The commands to try after a start: a push where callers without a login may push, else the login.
 * @param url where the server listens
 */
export function firstCommands(url: URL, { auth, publicUrl }: Pick<Config, 'auth' | 'publicUrl'>): string[] {
  const host = hostOf(url, publicUrl);
  if (!mayPushWithoutLogin(auth)) return [`docker login ${host}`];
  return [
    'docker pull alpine',
    `docker tag alpine ${host}/alpine`,
    `docker push ${host}/alpine`,
    `docker pull ${host}/alpine`,
  ];
}

/** What clients on this machine call the server; the host of `public_url`, if that is set. */
function hostOf({ host, hostname, port }: URL, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return new URL(publicUrl).host;
  return REACHED_AS_LOCALHOST.includes(hostname) ? `localhost:${port}` : host;
}

function mayPushWithoutLogin(auth: Config['auth']): boolean {
  if (!auth) return true;
  const permissions = new Permissions(auth.rules);
  const repository = parseRepositoryName('alpine');
  return permissions.may(ANONYMOUS, 'push', repository) && permissions.may(ANONYMOUS, 'pull', repository);
}
