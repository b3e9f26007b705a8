// Python 2's serialization of the values that docker-registry stored, independent of `lib/model/python-json.ts`.

type PythonValue = null | boolean | number | string | readonly PythonValue[] | { readonly [name: string]: PythonValue };

/** `json.dumps` of values whose text is ASCII. */
export function jsonDumps(value: PythonValue): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonDumps).join(', ')}]`;
  return `{${Object.entries(value)
    .map(([name, item]) => `${JSON.stringify(name)}: ${jsonDumps(item)}`)
    .join(', ')}}`;
}

/** `urllib.quote_plus` of ASCII text. */
export function quotePlus(text: string): string {
  return text.replace(/[^A-Za-z0-9_.-]/g, (character) =>
    character === ' ' ? '+' : `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

export function unquotePlus(text: string): string {
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
