// The identity that a request is made as. Plain data, since a gateway's authorizer passes it to the registry as JSON.

export const ACTIONS = ['pull', 'push', 'delete'] as const;
export type Action = (typeof ACTIONS)[number];

/** A caller with a password, or with the token of an identity provider. */
export type User = { kind: 'user'; name: string; groups: string[] };

/** The configured groups that have the user as a member. */
export function groupsOf(name: string, groups: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(groups).flatMap(([group, members]) => (members.includes(name) ? [group] : []));
}

/** A caller without a login. */
export type Anonymous = { kind: 'anonymous' };

/** Actions that a token allows, in one repository or in all that match a pattern. */
export type Grant = { actions: Action[] } & ({ repository: string } | { pattern: string });

/** The bearer of a token. The token allows what its grants say, even if its owner may do more. */
export type TokenBearer = {
  kind: 'token';
  /** The owner, for the log: a user's name or `robot:ci`; empty for an anonymous token. */
  subject: string;
  grants: Grant[];
  /** The id of the robot that owns the token or got it issued; names of robots are not unique. */
  robot?: string;
  /** Actions that were requested with the token and refused, so that requesting another token cannot help. */
  refused?: { repository: string; actions: Action[] }[];
  /** Whether requesting another token is pointless: a robot's own token, which is its only one. */
  isFinal?: true;
  /** The caller whose repositories the token may list, if it was issued for the catalog. */
  lists?: User | Anonymous | TokenBearer;
  /**
   * The caller that a v1 token was issued to, with its present rights. They decide which v1 images the token reads, since
   * these have no repository, and they bound its grants. Absent in other tokens.
   */
  holder?: User | Anonymous | TokenBearer;
};

export type Caller = Anonymous | User | TokenBearer;

export const ANONYMOUS: Anonymous = { kind: 'anonymous' };

/** The name of a caller without a login, in logs, messages and access rules. */
export const ANONYMOUS_NAME = 'anonymous';

/** The user name with which every robot logs in. The token, sent as the password, says which robot it is. */
export const ROBOT_USER = 'robot';

/** The user name with which the token of an identity provider is sent as the password. */
export const OIDC_USER = 'oidc';

/**
 * The name of a user of an identity provider: `oidc:https://token.example#repo:org/app`. It contains the issuer, which has
 * no `#`, because each provider chooses its subjects: one could otherwise issue a token for a user of another.
 */
export function oidcName(issuer: string, subject: string): string {
  return `${OIDC_USER}:${issuer}#${subject}`;
}

/** Whether the name is that of a user of an identity provider; names in htpasswd contain no colon. */
export function isOidcName(name: string): boolean {
  return name.startsWith(`${OIDC_USER}:`);
}

/** Whether the caller has no login: no credentials, or a token that was issued without any. */
export function isAnonymous(caller: Caller): boolean {
  return caller.kind === 'anonymous' || (caller.kind === 'token' && caller.subject === '');
}

/** The robot's id, for a token that is issued to this caller. */
export function robotOf(caller: Caller): Pick<TokenBearer, 'robot'> {
  return caller.kind === 'token' && caller.robot !== undefined ? { robot: caller.robot } : {};
}

/** The caller's name in logs and messages. */
export function nameOf(caller: Caller): string {
  if (caller.kind === 'user') return caller.name;
  return (caller.kind === 'token' && caller.subject) || ANONYMOUS_NAME;
}
