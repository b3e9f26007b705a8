/** What `JSON.parse` can give. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export type JsonObject = { [name: string]: JsonValue };

/** Far deeper than any manifest, config or image JSON; so that whoever walks through one does not run out of stack. */
const MAX_DEPTH = 200;

/** Keeps a byte order mark, which JSON may not have. https://www.rfc-editor.org/rfc/rfc8259#section-8.1 */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** `undefined` if the bytes are not JSON, or nested more than 200 levels deep. */
export function parseJson(bytes: Uint8Array): JsonValue | undefined {
  try {
    const value = JSON.parse(utf8.decode(bytes)) as JsonValue;
    return isDeeperThan(MAX_DEPTH, value) ? undefined : value;
  } catch {
    return undefined;
  }
}

function isDeeperThan(levels: number, value: JsonValue): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(levels - 1, inner));
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
