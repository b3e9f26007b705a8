import type { JsonValue } from './json.ts';

/**
 * JSON with sorted keys and no white space: the same value gives the same bytes for ever, on any machine. Strings and
 * numbers are as ECMAScript's JSON.stringify writes them; keys sort by UTF-16 code unit.
 */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name] ?? null)}`);
  return `{${members.join(',')}}`;
}
