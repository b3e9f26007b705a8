// Apache's password files, one `name:hash` per line. Only bcrypt is accepted, since the other hashes can be cracked quickly.
// https://httpd.apache.org/docs/2.4/misc/password_encryptions.html
import { ANONYMOUS_NAME, OIDC_USER, ROBOT_USER } from '../callers/caller.ts';

/** `$2y$`, `$2b$` and `$2a$` are the same algorithm; the letters tell apart bugs of old implementations. */
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

/** The lowest cost that bcrypt defines. */
const MIN_COST = 4;
/** 2^14 rounds take about a second. A higher cost would let a few logins block the registry. */
export const MAX_COST = 14;

/** Prefixes of other schemes, with their names in the manuals of `htpasswd` and `crypt`. */
const OTHER_SCHEMES: readonly (readonly [RegExp, string])[] = [
  [/^\{S?SHA\}/i, 'SHA-1'],
  [/^\$apr1\$/, 'MD5 (apr1)'],
  [/^\$1\$/, 'MD5 (crypt)'],
  [/^\$5\$/, 'SHA-256 (crypt)'],
  [/^\$6\$/, 'SHA-512 (crypt)'],
  [/^\$argon2/, 'Argon2'],
  [/^\$(?:7|y|gy)\$/, 'scrypt or yescrypt'],
  [/^\$2/, 'an incomplete bcrypt hash'],
  [/^[./A-Za-z0-9]{13}$/, 'DES (crypt)'],
];

export type Htpasswd = {
  /** User names and their hashes. */
  hashes: Map<string, string>;
  /** Messages for the operator: number of the line, what is wrong, what to do. They contain no hash. */
  problems: string[];
};

export function parseHtpasswd(text: string): Htpasswd {
  const hashes = new Map<string, string>();
  const problems: string[] = [];
  // PowerShell redirects output as UTF-16, which reads as a NUL beside each letter.
  if (text.includes('\0')) {
    return { hashes, problems: ['line 1: the file holds NUL bytes, as UTF-16 does; save it as UTF-8'] };
  }
  const lineOfName = new Map<string, number>();
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const { name, hash } = parseLine(line);
    const number = index + 1;
    const problem = problemOf(name, hash);
    const earlier = lineOfName.get(name);
    if (problem) problems.push(`line ${number}: ${problem}`);
    else if (earlier !== undefined)
      problems.push(`line ${earlier}: ${name} is there again in line ${number}, which takes effect`);
    // The last line of a name takes effect, even an unusable one, since it was written to replace the earlier ones.
    if (problem) hashes.delete(name);
    else hashes.set(name, hash);
    lineOfName.set(name, number);
  }
  return { hashes, problems };
}

/** Some tools append a comment after a second colon, which no bcrypt hash contains. */
function parseLine(line: string): { name: string; hash: string } {
  const colon = line.indexOf(':');
  const [hash = ''] = line.slice(colon + 1).split(':');
  return { name: line.slice(0, Math.max(colon, 0)).trim(), hash: hash.trim() };
}

function problemOf(name: string, hash: string): string | undefined {
  if (name === '') return 'is not of the form name:hash; type: stowage user add NAME';
  if (!isUserName(name)) {
    return `${JSON.stringify(name.slice(0, 64))} cannot be a user's name; allowed: ${USER_NAME_ALLOWED}`;
  }
  const remedy = `type: stowage user add ${name} (or htpasswd -B FILE ${name})`;
  const cost = costOf(hash);
  if (cost === undefined) {
    const problem =
      hash === '' ? `${name} has no hash` : `the password of ${name} is not a bcrypt hash${schemeOf(hash)}`;
    return `${problem}, so ${name} cannot log in; ${remedy}`;
  }
  const isTooLow = cost < MIN_COST;
  if (!isTooLow && cost <= MAX_COST) return undefined;
  const allowed = isTooLow ? `from ${MIN_COST} on` : `up to ${MAX_COST}`;
  return `the password of ${name} is hashed with cost ${cost}; allowed: ${allowed}; ${remedy}`;
}

/** ` (found: DES (crypt))`; empty for an unknown scheme. */
function schemeOf(hash: string): string {
  const scheme = OTHER_SCHEMES.find(([beginning]) => beginning.test(hash))?.[1];
  return scheme === undefined ? '' : ` (found: ${scheme})`;
}

/** User names that mean another kind of caller. */
const RESERVED: readonly string[] = [ANONYMOUS_NAME, ROBOT_USER, OIDC_USER];

/** For messages. */
export const USER_NAME_ALLOWED = `up to 64 letters, digits and . _ @ + -, except ${RESERVED.join(', ')}`;

/** Whether a user may have this name: not reserved, at most 64 characters, safe in logs and keys. */
export function isUserName(name: string): boolean {
  return !RESERVED.includes(name) && /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/.test(name);
}

/** The cost of a bcrypt hash: the binary logarithm of its rounds; `undefined` if it is not a bcrypt hash. */
export function costOf(hash: string): number | undefined {
  const [, digits] = BCRYPT.exec(hash) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
