import { ANONYMOUS_NAME, isOidcName, oidcName } from '../auth/callers/caller.ts';
import type { AuthConfig, HtpasswdPlace } from '../auth/create-authenticator.ts';
import type { OidcRule } from '../auth/oidc/logins.ts';
import type { AccessRule } from '../auth/rules/permissions.ts';
import { type StorageConfig, s3OptionsOf } from '../storage/open.ts';
import type { Settings } from './settings.ts';

const S3_URL = /^s3:\/\/([^/]*)\/(.+)$/;

/**
 * `undefined` if there is no `auth`: then the registry is open. A section without any user is an error, so that a variable
 * that is not set does not open the registry.
 * @throws ConfigError
 */
export function readAuth(
  settings: Settings,
  { storage, isStandalone }: { storage: StorageConfig; isStandalone: boolean },
): AuthConfig | undefined {
  const rules = settings.get('access');
  if (!settings.isMap('auth')) {
    if (rules)
      settings.fail(
        'access',
        'needs auth: without it no caller has to log in, and every caller may do everything; set auth, or remove access',
      );
    return undefined;
  }
  if (!isStandalone) {
    settings.fail('auth', 'needs standalone: true; a registry with an index elsewhere leaves it to that');
  }
  const htpasswd = settings.get('auth.htpasswd');
  const oidc = settings.get('auth.oidc') ?? [];
  if (htpasswd === undefined && oidc.length === 0) {
    settings.fail('auth', 'names no users; set auth.htpasswd or auth.oidc, or auth to null for an open registry');
  }
  const groups = settings.get('auth.groups', {});
  checkOidcNames(rules ?? [], groups, oidc, settings);
  warnOfRules(rules ?? [], [...Object.keys(groups), ...oidc.flatMap((rule) => rule.groups)], settings);
  return {
    htpasswd: htpasswd === undefined ? undefined : placeOf(htpasswd, settings, storage),
    oidc,
    realm: settings.get('auth.realm'),
    groups,
    rules,
  };
}

function placeOf(text: string, settings: Settings, storage: StorageConfig): HtpasswdPlace {
  const [, bucket, key] = S3_URL.exec(text) ?? [];
  if (text.startsWith('arn:')) return { kind: 'secret', arn: text };
  if (key === undefined) return { kind: 'file', path: text };
  if (bucket) return { kind: 'object', bucket, key };
  const own = s3OptionsOf(storage);
  if (own) return { kind: 'object', bucket: own.bucket, key };
  return settings.fail('auth.htpasswd', "names an object of the registry's own bucket; it needs storage: s3");
}

/**
 * Refuses user names in rules that can match no caller, or a caller with this subject at any issuer.
 * @throws ConfigError
 */
function checkOidcNames(
  rules: readonly AccessRule[],
  groups: Record<string, string[]>,
  oidc: readonly OidcRule[],
  settings: Settings,
): void {
  for (const [group, members] of Object.entries(groups)) {
    const member = members.find(isOidcName);
    if (member !== undefined) {
      settings.fail('auth.groups', `${group} has the member ${member}; an entry of auth.oidc says itself which groups`);
    }
  }
  const allowed = oidc.map(({ issuer }) => oidcName(issuer, ''));
  for (const [index, { users }] of rules.entries()) {
    const unknown = users.find((user) => isOidcName(user) && !allowed.some((start) => user.startsWith(start)));
    if (unknown === undefined) continue;
    const names = allowed.map((start) => `${start}<subject>`).join(', ') || 'none, without auth.oidc';
    settings.fail('access', `rule ${index + 1} names the user ${unknown}; allowed: ${names}`, index);
  }
}

/** Warns of rules that are valid but probably a mistake. */
function warnOfRules(rules: readonly AccessRule[], groups: readonly string[], settings: Settings): void {
  for (const [index, rule] of rules.entries()) {
    const unknown = rule.groups.filter((group) => !groups.includes(group));
    for (const group of unknown)
      settings.warn('access', `rule ${index + 1} names the group ${group}, which has no members`, index);
    if (rule.effect === 'allows' && rule.actions.includes('push') && !rule.actions.includes('pull')) {
      settings.warn('access', `rule ${index + 1} allows push without pull, but clients read before they push`, index);
    }
    const changes = rule.actions.filter((action) => action !== 'pull');
    if (rule.effect === 'allows' && rule.users.includes(ANONYMOUS_NAME) && changes.length > 0) {
      settings.warn('access', `rule ${index + 1} lets callers without a login ${changes.join(' and ')}`, index);
    }
  }
}
