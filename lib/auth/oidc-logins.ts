import type { JWTPayload } from 'jose';
import type { Log } from '../log.ts';
import { oidcName, type User } from './caller.ts';
import { OidcIssuer } from './oidc-issuer.ts';
import { matcherOf } from './pattern.ts';

/** Whose tokens are taken: all that a rule names must be so. */
export type OidcRule = {
  issuer: string;
  jwksUri: string | undefined;
  audience: string;
  /** Claims that the token must have, each with patterns of which one must match. */
  claims: Record<string, string[]>;
  /** What the bearer then belongs to. */
  groups: string[];
};

/** Subjects are as long as the names of repositories and branches in them. */
const MAX_SUBJECT_LENGTH = 512;

export class OidcLogins {
  readonly #rules: readonly OidcRule[];
  readonly #issuers: Map<string, OidcIssuer>;
  readonly #log: Log;

  constructor(rules: readonly OidcRule[], log: Log) {
    this.#rules = rules;
    this.#issuers = new Map(rules.map((rule) => [rule.issuer, new OidcIssuer(rule)]));
    this.#log = log;
  }

  /** Who has this token, with the groups of all rules that it fits; `undefined` if it fits none, or is not valid. */
  async find(token: string): Promise<User | undefined> {
    const { decodeJwt } = await import('jose/jwt/decode');
    try {
      // Only to know whom to ask: nothing is believed before it is verified.
      const { iss = '' } = decodeJwt(token);
      const rules = this.#rules.filter(({ issuer }) => issuer === iss);
      const claims = await this.#issuers.get(iss)?.verify(
        token,
        rules.map(({ audience }) => audience),
      );
      return claims && userOf(claims, rules);
    } catch (error) {
      this.#log.debug('a token of an identity provider was refused', { error });
      return undefined;
    }
  }

  /**
   * What is left of the groups that a user got by an earlier token: those that the rules about its issuer still give.
   * `undefined` if there is no such rule any more.
   */
  groupsLeft(name: string, groups: readonly string[]): string[] | undefined {
    const rules = this.#rules.filter(({ issuer }) => name.startsWith(oidcName(issuer, '')));
    if (rules.length === 0) return undefined;
    return groups.filter((group) => rules.some((rule) => rule.groups.includes(group)));
  }
}

function userOf(claims: JWTPayload, rules: readonly OidcRule[]): User | undefined {
  const fitting = rules.filter((rule) => fits(claims, rule));
  const { iss = '', sub = '' } = claims;
  if (fitting.length === 0 || sub === '' || sub.length > MAX_SUBJECT_LENGTH) return undefined;
  const groups = [...new Set(fitting.flatMap((rule) => rule.groups))];
  return { kind: 'user', name: oidcName(iss, sub), groups };
}

function fits(claims: JWTPayload, rule: OidcRule): boolean {
  const audiences = [claims.aud].flat();
  return (
    audiences.includes(rule.audience) &&
    Object.entries(rule.claims).every(([name, patterns]) => {
      const values = Object.hasOwn(claims, name) ? [claims[name]].flat() : [];
      return patterns.some((pattern) => values.some((value) => isText(value) && matcherOf(pattern)(String(value))));
    })
  );
}

function isText(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
