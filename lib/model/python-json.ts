import type { JsonValue } from './json.ts';

/**
 * JSON as Python's `json.dumps` writes it, as in every bucket of docker-registry: spaces after `,` and `:`, ASCII only.
 * @param sortKeys as docker-registry's answers have it; its objects keep the order in which they were made
 */
export function pythonJson(value: JsonValue, options: { sortKeys?: boolean } = {}): string {
  if (typeof value === 'string') return asciiString(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => pythonJson(item, options)).join(', ')}]`;
  const names = options.sortKeys ? Object.keys(value).sort() : Object.keys(value);
  return `{${names.map((name) => `${asciiString(name)}: ${pythonJson(value[name] ?? null, options)}`).join(', ')}}`;
}

function asciiString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
