import type { JWTPayload } from 'jose';
import type { Log } from '../../model/log.ts';
import { matcherOf } from '../../model/name-pattern.ts';
import { oidcName, type User } from '../callers/caller.ts';
import { OidcIssuer } from './issuer.ts';
import { type Mismatch, mismatchOf, OidcRefusals, type TokenHeader } from './refusals.ts';

/** Which tokens of an identity provider are accepted: issuer, audience and all claims must match. */
export type OidcRule = {
  issuer: string;
  jwksUri: string | undefined;
  audience: string;
  /** Claims that the token must have, each with patterns. One pattern per claim must match. */
  claims: Record<string, string[]>;
  /** The groups that the bearer then belongs to. */
  groups: string[];
};

/** The subjects of GitHub and GitLab contain names of repositories and branches. */
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
   * The user with this token, in the groups of all rules that match. `undefined` if the token is invalid or no rule
   * matches; the log then says what was expected.
   */
  async find(token: string): Promise<User | undefined> {
    const { decodeJwt } = await import('jose/jwt/decode');
    const { decodeProtectedHeader } = await import('jose/decode/protected_header');
    let claimed: string;
    let header: TokenHeader;
    try {
      // Not verified yet: these claims only select the issuer whose keys verify the token.
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
      const user = matchingUser(claims, rules);
      if (!user) this.#refusals.note(mismatchesOf(claims, rules), claimed);
      return user;
    } catch (error) {
      this.#refusals.note([mismatchOf(error, { audiences, header })], claimed);
      return undefined;
    }
  }

  /**
   * The user of an earlier token, in those of its groups that the rules for its issuer still give; `undefined` if there is no
   * such rule any more.
   * @param name as `oidcName` makes it
   */
  userOf(name: string, groups: readonly string[]): User | undefined {
    const rules = this.#rules.filter(({ issuer }) => name.startsWith(oidcName(issuer, '')));
    if (rules.length === 0) return undefined;
    return { kind: 'user', name, groups: groups.filter((group) => rules.some((rule) => rule.groups.includes(group))) };
  }
}

function matchingUser(claims: JWTPayload, rules: readonly OidcRule[]): User | undefined {
  const matching = rules.filter((rule) => mismatchesWith(claims, rule).length === 0);
  const { iss = '' } = claims;
  const sub = claims.sub ?? '';
  if (matching.length === 0 || !isSubject(sub)) return undefined;
  const groups = [...new Set(matching.flatMap((rule) => rule.groups))];
  return { kind: 'user', name: oidcName(iss, sub), groups };
}

function isSubject(sub: string): boolean {
  return sub !== '' && sub.length <= MAX_SUBJECT_LENGTH;
}

/** Why verified claims match no rule. */
function mismatchesOf(claims: JWTPayload, rules: readonly OidcRule[]): Mismatch[] {
  const sub = claims.sub ?? '';
  if (isSubject(sub)) return rules.flatMap((rule) => mismatchesWith(claims, rule));
  return [{ part: 'claim', name: 'sub', expected: `1 to ${MAX_SUBJECT_LENGTH} characters`, found: sub }];
}

/** The parts of a rule that the claims do not match; empty if they match the rule. */
function mismatchesWith(claims: JWTPayload, rule: OidcRule): Mismatch[] {
  const mismatches: Mismatch[] = [];
  if (![claims.aud].flat().includes(rule.audience)) {
    mismatches.push({ part: 'audience', expected: rule.audience, found: claims.aud });
  }
  for (const [name, patterns] of Object.entries(rule.claims)) {
    const found = Object.hasOwn(claims, name) ? claims[name] : undefined;
    const values = [found].flat().filter(isText);
    const matches = patterns.some((pattern) => values.some((value) => matcherOf(pattern)(String(value))));
    if (!matches) mismatches.push({ part: 'claim', name, expected: patterns, found });
  }
  return mismatches;
}

function isText(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
