/**
 * Compiles a pattern for names. `*` matches any text, slashes too: `team/*` matches every repository below `team`, `*` every
 * repository. All other characters match themselves.
 */
export function matcherOf(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*');
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return (text) => text === pattern;
  // Each part is matched at its first occurrence, so the time is linear. A regular expression could backtrack.
  return (text) => {
    if (!text.startsWith(first)) return false;
    let from = first.length;
    for (const part of rest) {
      const at = text.indexOf(part, from);
      if (at < 0) return false;
      from = at + part.length;
    }
    return text.length - last.length >= from && text.endsWith(last);
  };
}

/** As `matcherOf`, for repositories: `app` stands for `library/app` and `app*` for `library/app*`; `*` matches all. */
export function repositoryMatcher(pattern: string): (repository: string) => boolean {
  return matcherOf(withNamespace(pattern));
}

/** Patterns of repositories in rules. Regular expressions have other characters, and a pattern that no name can match is a mistake. */
export const REPOSITORY_PATTERN = /^[A-Za-z0-9_*](?:\/?[A-Za-z0-9._~*+-])*$/;

/** Makes a predicate: whether some pattern of `repositoryMatcher` matches the repository; `**` is read as `*`. */
export function repositoriesMatcher(patterns: readonly string[]): (repository: string) => boolean {
  const matchers = patterns.map((pattern) => repositoryMatcher(withSingleStars(pattern)));
  return (repository) => matchers.some((matches) => matches(repository));
}

/** Whether one of the earlier patterns matches all that each of the later ones can. A `*` is matched by a `*` only. */
export function coversRepositories(earlier: readonly string[], later: readonly string[]): boolean {
  const covers = repositoriesMatcher(earlier);
  return later.every((pattern) => covers(withNamespace(withSingleStars(pattern))));
}

function withSingleStars(pattern: string): string {
  return pattern.replaceAll(/\*+/g, '*');
}

function withNamespace(pattern: string): string {
  return pattern === '*' || pattern.includes('/') ? pattern : `library/${pattern}`;
}

/** How many repositories of a namespace a pattern of `repositoryMatcher` can match; `some` also where it may be none. */
export function rangeOfPattern(pattern: string, namespace: string): 'all' | 'some' | 'none' {
  const whole = withNamespace(pattern);
  const start = `${namespace}/`;
  const end = whole.indexOf('*');
  const head = end < 0 ? whole : whole.slice(0, end);
  if (head.length > start.length) return head.startsWith(start) ? 'some' : 'none';
  if (end < 0 || !start.startsWith(head)) return 'none';
  return end === whole.length - 1 ? 'all' : 'some';
}
