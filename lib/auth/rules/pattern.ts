/**
 * A predicate for names: `*` stands for anything, slashes too (`team/*` is every repository of `team`, `*` every one
 * there is). Everything else stands for itself.
 */
export function matcherOf(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*');
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return (text) => text === pattern;
  // Each part at the first place where it is found: no pattern makes this slow, as it could a regular expression.
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

/** As clients name repositories, so do patterns: `app` and `app*` are `library/app` and `library/app*`, `*` is all. */
export function repositoryMatcher(pattern: string): (repository: string) => boolean {
  return matcherOf(withNamespace(pattern));
}

function withNamespace(pattern: string): string {
  return pattern === '*' || pattern.includes('/') ? pattern : `library/${pattern}`;
}

/** Which repositories of a namespace a pattern of `repositoryMatcher` matches: all, none, or some, or that cannot be told. */
export function rangeOfPattern(pattern: string, namespace: string): 'all' | 'some' | 'none' {
  const whole = withNamespace(pattern);
  const start = `${namespace}/`;
  const end = whole.indexOf('*');
  const head = end < 0 ? whole : whole.slice(0, end);
  if (head.length > start.length) return head.startsWith(start) ? 'some' : 'none';
  if (end < 0 || !start.startsWith(head)) return 'none';
  return end === whole.length - 1 ? 'all' : 'some';
}
