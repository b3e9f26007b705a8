// Apache's password files, one `name:hash` a line. Only bcrypt counts: the other forms can be guessed in no time.
// https://httpd.apache.org/docs/2.4/misc/password_encryptions.html

/** `$2y$`, `$2b$` and `$2a$` name the same algorithm; what differed were bugs of old implementations. */
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

/** 2^14 rounds take about a second: more is a way to stop the registry, not to protect a password. */
const MAX_COST = 14;

export type Htpasswd = {
  /** Hashes by the names of users. */
  hashes: Map<string, string>;
  /** One line each, for the operator; they hold no hash. */
  problems: string[];
};

export function parseHtpasswd(text: string): Htpasswd {
  const hashes = new Map<string, string>();
  const problems: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    // Some tools put a comment behind a second colon, which no bcrypt hash holds.
    const hash =
      line
        .slice(colon + 1)
        .split(':')[0]
        ?.trim() ?? '';
    const problem = problemOf(name, hash);
    if (problem) problems.push(`line ${index + 1}: ${problem}`);
    else hashes.set(name, hash);
  }
  return { hashes, problems };
}

function problemOf(name: string, hash: string): string | undefined {
  if (name === '') return 'is not of the form name:hash';
  if (!isUserName(name)) return `${JSON.stringify(name.slice(0, 64))} cannot be a user's name`;
  const cost = costOf(hash);
  if (cost === undefined) return `the password of ${name} is not hashed by bcrypt (htpasswd -B), so it opens nothing`;
  if (cost > MAX_COST) return `the password of ${name} is hashed with cost ${cost}; allowed: up to ${MAX_COST}`;
  return undefined;
}

/** What is not a name: a word of the rules, and those under which others than people log in. */
const RESERVED = ['anonymous', 'robot', 'oidc'];

/** Neither a word of the access rules, nor too long or strange for a log or a key. */
export function isUserName(name: string): boolean {
  return !RESERVED.includes(name) && /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/.test(name);
}

/** The logarithm of the number of rounds; `undefined` if this is no hash of bcrypt. */
export function costOf(hash: string): number | undefined {
  const [, digits] = BCRYPT.exec(hash) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
