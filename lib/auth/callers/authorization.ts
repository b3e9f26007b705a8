// What an `Authorization` says. Anybody can send one, of any length, so each character is looked at a bounded number of
// times: no expression begins with a run that could begin anywhere.

/** `scheme` in small letters; both empty where nothing is said. */
export type Authorization = { scheme: string; credentials: string };

/** @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.2 */
export function parseAuthorization(header = ''): Authorization {
  const text = header.trim();
  const at = text.search(/\s/);
  if (at < 0) return { scheme: text.toLowerCase(), credentials: '' };
  return { scheme: text.slice(0, at).toLowerCase(), credentials: text.slice(at).trim() };
}

/**
 * What stands in a token of v1: `signature=…,repository="a/b",access=write`, with or without quotes, and with `:` for `=`,
 * as docker-registry read it. Docker puts the word `Token` in front once more.
 */
export function tokenParameters(credentials: string): Map<string, string> {
  return new Map(credentials.split(',').flatMap(parseParameter));
}

/** None for what is no parameter. */
function parseParameter(text: string): [name: string, value: string][] {
  const at = text.search(/[:=]/);
  if (at < 0) return [];
  const name = text.slice(0, at).split(/\s/).at(-1) ?? '';
  const value = text.slice(/[\s"]/.test(text[at + 1] ?? '') ? at + 2 : at + 1).split('"', 1)[0] ?? '';
  return value === '' ? [] : [[name, value]];
}
