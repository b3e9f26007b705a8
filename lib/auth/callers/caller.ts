// Who sends a request. Plain data: a gateway's authorizer hands it on as JSON, and what comes behind believes it.

export const ACTIONS = ['pull', 'push', 'delete'] as const;
export type Action = (typeof ACTIONS)[number];

/** Somebody who has shown a password or the token of an identity provider. */
export type User = { kind: 'user'; name: string; groups: string[] };

/** The groups of a user, of all that are configured with their members. */
export function groupsOf(name: string, groups: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(groups).flatMap(([group, members]) => (members.includes(name) ? [group] : []));
}

/** Nobody has said who they are. */
export type Anonymous = { kind: 'anonymous' };

/** What a token allows: in one repository, or in all that a pattern names. */
export type Grant = { actions: Action[] } & ({ repository: string } | { pattern: string });

/** Somebody who has shown a token: it allows what is in it, whatever its owner may do besides. */
export type TokenBearer = {
  kind: 'token';
  /** Whose token it is, for the log: a user's name, `robot:ci`; empty for a token that was given to nobody in particular. */
  subject: string;
  grants: Grant[];
  /** The id of the robot whose token it is, or for which it was made: robots may share a name. */
  robot?: string;
  /** What was asked for together with `grants` and refused: to ask again would not help. */
  refused?: { repository: string; actions: Action[] }[];
  /** Nobody gets another token for this bearer: a robot has but one. */
  isFinal?: true;
  /** Whose repositories the token allows to list, if it was made for that. */
  lists?: User | Anonymous | TokenBearer;
  /**
   * For whom a token of v1 was made, with the rights of now. The token reads v1 images, which have no repository, by these
   * rights, and is good for nothing beyond them. Absent in other tokens, and in those of version 0.1.0.
   */
  holder?: User | Anonymous | TokenBearer;
};

export type Caller = Anonymous | User | TokenBearer;

export const ANONYMOUS: Anonymous = { kind: 'anonymous' };

/** The name that whoever has a token of an identity provider logs in with; who they are says the token. */
export const OIDC_USER = 'oidc';

/**
 * How the bearer of a provider's token is called: `oidc:https://token.example#repo:org/app`. Each provider gives subjects as
 * it likes, so without the issuer, which has no `#`, one could make a token for the user of another.
 */
export function oidcName(issuer: string, subject: string): string {
  return `${OIDC_USER}:${issuer}#${subject}`;
}

/** Whether a user with this name comes from an identity provider; names in htpasswd hold no colon. */
export function isOidcName(name: string): boolean {
  return name.startsWith(`${OIDC_USER}:`);
}

/** Whether anything was shown that tells this caller from anybody else. */
export function isAnonymous(caller: Caller): boolean {
  return caller.kind === 'anonymous' || (caller.kind === 'token' && caller.subject === '');
}

/** What a token that is made for this caller has to say of it besides its name. */
export function robotOf(caller: Caller): Pick<TokenBearer, 'robot'> {
  return caller.kind === 'token' && caller.robot !== undefined ? { robot: caller.robot } : {};
}

/** How the log and messages name a caller. */
export function nameOf(caller: Caller): string {
  if (caller.kind === 'user') return caller.name;
  return (caller.kind === 'token' && caller.subject) || 'anonymous';
}
