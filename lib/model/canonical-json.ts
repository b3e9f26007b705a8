import type { JsonValue } from './json.ts';

/**
 * JSON with sorted keys and without white space: equal values give equal bytes, in every version and on every machine. Strings
 * and numbers as ECMAScript's JSON.stringify writes them; keys sorted by UTF-16 code unit.
 */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name] ?? null)}`);
  return `{${members.join(',')}}`;
}
