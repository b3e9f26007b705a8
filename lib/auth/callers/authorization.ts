// Parses `Authorization`. Clients can send any text of any length, so parsing is linear: no regular expression here can
// backtrack.

/** `scheme` in lower case; both empty without a header. */
export type Authorization = { scheme: string; credentials: string };

/** @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.2 */
export function parseAuthorization(header = ''): Authorization {
  const text = header.trim();
  const at = text.search(/\s/);
  if (at < 0) return { scheme: text.toLowerCase(), credentials: '' };
  return { scheme: text.slice(0, at).toLowerCase(), credentials: text.slice(at).trim() };
}

/**
 * The parameters of a v1 token: `signature=…,repository="a/b",access=write`, with or without quotes, and with `:` for `=`,
 * as docker-registry parsed it. Docker repeats the word `Token` in front of the first one.
 */
export function tokenParameters(credentials: string): Map<string, string> {
  return new Map(credentials.split(',').flatMap(parseParameter));
}

/** Empty if the text is not a parameter. */
function parseParameter(text: string): [name: string, value: string][] {
  const at = text.search(/[:=]/);
  if (at < 0) return [];
  const name = text.slice(0, at).split(/\s/).at(-1) ?? '';
  const value = text.slice(/[\s"]/.test(text[at + 1] ?? '') ? at + 2 : at + 1).split('"', 1)[0] ?? '';
  return value === '' ? [] : [[name, value]];
}
