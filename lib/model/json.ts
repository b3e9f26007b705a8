import { BACKSLASH, CLOSE_BRACE, CLOSE_BRACKET, COLON, COMMA, OPEN_BRACE, OPEN_BRACKET, QUOTE } from './json-bytes.ts';

/** The values of `JSON.parse`. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export type JsonObject = { [name: string]: JsonValue };

/** Deeper than any manifest, config or image JSON; bounds the stack of recursive readers. */
const MAX_DEPTH = 200;

/** More than the longest list that is stored. A million values take `JSON.parse` a tenth of a second. */
const MAX_VALUES = 1_000_000;

/** Keeps a byte order mark, which JSON may not have. https://www.rfc-editor.org/rfc/rfc8259#section-8.1 */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Parses JSON of bounded depth and number of values. `JSON.parse` blocks the process for a time that depends on the number of
 * values more than on the number of bytes.
 * @param maxValues values and names that the document may hold; lower for what a client sends
 * @returns `undefined` if the bytes are not JSON, nested more than 200 levels deep, or hold more values
 */
export function parseJson(bytes: Uint8Array, { maxValues = MAX_VALUES } = {}): JsonValue | undefined {
  if (!isJsonWithin(bytes, { maxDepth: MAX_DEPTH, maxValues })) return undefined;
  try {
    return JSON.parse(utf8.decode(bytes)) as JsonValue;
  } catch {
    return undefined;
  }
}

/**
 * Whether JSON holds at most so many values and names, nested at most so deep: counted without parsing it, by brackets and
 * separators outside of strings. 10 ms for 4 MiB. Bytes that are not JSON may pass; `JSON.parse` refuses them.
 */
export function isJsonWithin(
  bytes: Uint8Array,
  { maxValues, maxDepth = Number.POSITIVE_INFINITY }: { maxValues: number; maxDepth?: number },
): boolean {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE:
        at = endOfString(bytes, at);
        break;
      case OPEN_BRACKET:
      case OPEN_BRACE:
        values++;
        if (++depth > maxDepth) return false;
        break;
      case CLOSE_BRACKET:
      case CLOSE_BRACE:
        depth--;
        break;
      case COMMA:
      case COLON:
        values++;
        break;
    }
    if (values > maxValues) return false;
  }
  return true;
}

/** Offset of the quote that ends the string which begins at `quote`; the length of the bytes if it does not end. */
function endOfString(bytes: Uint8Array, quote: number): number {
  for (let at = quote + 1; at < bytes.length; at++) {
    if (bytes[at] === BACKSLASH) at++;
    else if (bytes[at] === QUOTE) return at;
  }
  return bytes.length;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Whether no object in a JSON document names a member twice. `JSON.parse` takes the last one, other programs take the first, so
 * they would read different documents. Each member has one colon outside of strings. A name with an escape is refused too: it
 * can spell another name, and V8 sometimes takes it for the name that an object before had in its place.
 * @param value what `parseJson` made of the bytes
 */
export function hasUniqueNames(bytes: Uint8Array, value: JsonValue): boolean {
  let written = 0;
  let isEscaped = false;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === QUOTE) {
      const start = at;
      at = endOfString(bytes, at);
      isEscaped = bytes.subarray(start, at).includes(BACKSLASH);
    } else if (bytes[at] === COLON) {
      if (isEscaped) return false;
      written++;
    }
  }
  return written === countMembers(value);
}

function countMembers(value: JsonValue): number {
  if (typeof value !== 'object' || value === null) return 0;
  const items = Object.values(value);
  const own = Array.isArray(value) ? 0 : items.length;
  return items.reduce<number>((sum, item) => sum + countMembers(item), own);
}
