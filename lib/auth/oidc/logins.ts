import type { JWTPayload } from 'jose';
import type { Log } from '../../model/log.ts';
import { oidcName, type User } from '../callers/caller.ts';
import { matcherOf } from '../rules/pattern.ts';
import { OidcIssuer } from './issuer.ts';
import { type Mismatch, mismatchOf, OidcRefusals, type TokenHeader } from './refusals.ts';

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
  readonly #refusals: OidcRefusals;

  constructor(rules: readonly OidcRule[], log: Log) {
    this.#rules = rules;
    this.#issuers = new Map(rules.map((rule) => [rule.issuer, new OidcIssuer(rule)]));
    this.#refusals = new OidcRefusals(log);
  }

  /**
   * Who has this token, with the groups of all rules that it fits; `undefined` if it fits none, or is not valid. Then the
   * log says what was expected.
   */
  async find(token: string): Promise<User | undefined> {
    const { decodeJwt } = await import('jose/jwt/decode');
    const { decodeProtectedHeader } = await import('jose/decode/protected_header');
    let claimed: string;
    let header: TokenHeader;
    try {
      // Only to know whom to ask: nothing is believed before it is verified.
      const { iss } = decodeJwt(token);
      claimed = typeof iss === 'string' ? iss : '';
      header = decodeProtectedHeader(token);
    } catch {
      this.#refusals.note([{ part: 'token', expected: 'a JWT' }]);
      return undefined;
    }
    const issuer = this.#issuers.get(claimed);
    if (!issuer) {
      this.#refusals.note([{ part: 'issuer', expected: [...this.#issuers.keys()], found: claimed }]);
      return undefined;
    }
    const rules = this.#rules.filter((rule) => rule.issuer === claimed);
    const audiences = [...new Set(rules.map(({ audience }) => audience))];
    try {
      const claims = await issuer.verify(token, audiences);
      const user = userOf(claims, rules);
      if (!user) this.#refusals.note(mismatchesOf(claims, rules), claimed);
      return user;
    } catch (error) {
      this.#refusals.note([mismatchOf(error, { audiences, header })], claimed);
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
  const fitting = rules.filter((rule) => mismatchesWith(claims, rule).length === 0);
  const { iss = '' } = claims;
  const sub = claims.sub ?? '';
  if (fitting.length === 0 || !isSubject(sub)) return undefined;
  const groups = [...new Set(fitting.flatMap((rule) => rule.groups))];
  return { kind: 'user', name: oidcName(iss, sub), groups };
}

function isSubject(sub: string): boolean {
  return sub !== '' && sub.length <= MAX_SUBJECT_LENGTH;
}

/** Why verified claims make no user. */
function mismatchesOf(claims: JWTPayload, rules: readonly OidcRule[]): Mismatch[] {
  const sub = claims.sub ?? '';
  if (isSubject(sub)) return rules.flatMap((rule) => mismatchesWith(claims, rule));
  return [{ part: 'claim', name: 'sub', expected: `1 to ${MAX_SUBJECT_LENGTH} characters`, found: sub }];
}

/** What of a rule the claims do not have: nothing, if they fit it. */
function mismatchesWith(claims: JWTPayload, rule: OidcRule): Mismatch[] {
  const mismatches: Mismatch[] = [];
  if (![claims.aud].flat().includes(rule.audience)) {
    mismatches.push({ part: 'audience', expected: rule.audience, found: claims.aud });
  }
  for (const [name, patterns] of Object.entries(rule.claims)) {
    const found = Object.hasOwn(claims, name) ? claims[name] : undefined;
    const values = [found].flat().filter(isText);
    const fits = patterns.some((pattern) => values.some((value) => matcherOf(pattern)(String(value))));
    if (!fits) mismatches.push({ part: 'claim', name, expected: patterns, found });
  }
  return mismatches;
}

function isText(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
