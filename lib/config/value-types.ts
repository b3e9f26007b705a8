// The types of keys. Each type parses a node of the file and describes the allowed values.
import { isNullText, plainValue } from './plain-value.ts';
import { isMap, isScalar, type ParseYaml, type Scalar, YamlError, type YamlNode } from './yaml-nodes.ts';
import { parsed, toData } from './yaml-values.ts';

/** The samples' placeholder for a value that the operator has to fill in. */
export const PLACEHOLDER = 'REPLACEME';

/** A specific reason why a value is not allowed. The message holds no secret. */
export class NotAllowedError extends Error {
  override readonly name = 'NotAllowedError';
  /** Line of the rejected part, if it comes from the file. */
  readonly line: number | undefined;

  constructor(message: string, line?: number) {
    super(message);
    this.line = line;
  }
}

export type ValueType<T> = {
  /** For the error message: `true or false`. */
  readonly allowed: string;
  /** `null` where nothing is set, `undefined` for a value that is not allowed. @throws YamlError; NotAllowedError */
  parse(node: YamlNode): T | null | undefined;
  /** The inverse of `parse`, where the parsed value is not the written one. */
  format?(value: T): unknown;
};

/** Any text. The text of a variable is used as it is, without parsing as YAML. */
export const text: ValueType<string> = {
  allowed: 'a text',
  parse: (node) => whereText(node, (value) => value),
};

export const anything: ValueType<unknown> = { allowed: 'anything', parse: toData };

const BOOLEANS = new Map([
  ...['true', 'yes', 'on', '1'].map((word) => [word, true] as const),
  ...['false', 'no', 'off', '0'].map((word) => [word, false] as const),
]);

export const boolean: ValueType<boolean> = {
  allowed: 'true or false (yes, no, on, off, 1, 0)',
  parse(node) {
    const value = parsed(node);
    if (isNull(value)) return null;
    return isScalar(value) ? BOOLEANS.get(value.text.toLowerCase()) : undefined;
  },
};

export function integer(least: number, most = Number.MAX_SAFE_INTEGER): ValueType<number> {
  return {
    allowed:
      most === Number.MAX_SAFE_INTEGER
        ? `a whole number from ${least} on`
        : `a whole number between ${least} and ${most}`,
    parse(node) {
      const value = parsed(node);
      if (isNull(value)) return null;
      const number = isScalar(value) ? plainValue(value.text) : undefined;
      if (typeof number !== 'number' || !Number.isSafeInteger(number)) return undefined;
      return number >= least && number <= most ? number : undefined;
    },
  };
}

/** The word `auto`, or another type. */
export function autoOr<T>(type: ValueType<T>): ValueType<T | 'auto'> {
  return {
    allowed: `auto, or ${type.allowed}`,
    parse: (node) => (isScalar(node) && node.text.toLowerCase() === 'auto' ? 'auto' : type.parse(node)),
  };
}

/** One of several words, in any case, mapped to values. */
export function choice<T extends string>(allowed: string, words: Readonly<Record<string, T>>): ValueType<T> {
  return {
    allowed,
    parse: (node) =>
      whereText(node, (word) => (Object.hasOwn(words, word.toLowerCase()) ? words[word.toLowerCase()] : undefined)),
  };
}

export function matching(pattern: RegExp, allowed: string): ValueType<string> {
  return {
    allowed,
    parse: (node) => whereText(node, (value) => (pattern.test(value) ? value : undefined)),
  };
}

/** An absolute http or https URL; trailing slashes are removed, as docker-registry did. */
export const url: ValueType<string> = {
  allowed: 'a URL that begins with http:// or https://',
  parse: (node) =>
    whereText(node, (value) => {
      const address = value.replace(/^\/+|\/+$/g, '');
      return /^https?:\/\/[^/\s]+/i.test(address) && URL.canParse(address) ? address : undefined;
    }),
};

/** A text, or a list of texts. */
export const textOrList: ValueType<string | string[]> = {
  allowed: 'a text or a list of texts',
  parse(node) {
    const isListInVariable = isScalar(node) && node.variable && /^\s*(?:\[|- )/.test(node.text);
    const value = isListInVariable ? parsed(node) : node;
    if (!Array.isArray(value)) return text.parse(value);
    const texts = value.map((item: YamlNode) => text.parse(item));
    return texts.includes(undefined) ? undefined : texts.filter((item) => typeof item === 'string');
  },
};

/** As `textOrList`, but one text may hold several values separated by commas. */
export const list: ValueType<string[]> = {
  allowed: 'a list of texts, or one text with commas',
  parse(node) {
    const value = textOrList.parse(node);
    if (typeof value !== 'string') return value;
    return value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  },
};

/** A map with arbitrary keys. */
export function mapOf<T>(type: ValueType<T>): ValueType<Record<string, T>> {
  return {
    allowed: `a map, each value ${type.allowed}`,
    parse(node) {
      const value = parsed(node);
      if (isNull(value)) return null;
      if (!isMap(value)) return undefined;
      const entries = [...value].map(([key, item]) => [key, type.parse(item)] as const);
      if (entries.some(([, item]) => item === undefined || item === null)) return undefined;
      return Object.fromEntries(entries) as Record<string, T>;
    },
  };
}

/** Accepts `false` as null, as old files write it. */
export function orOff<T>(type: ValueType<T>): ValueType<T> {
  return { ...type, parse: (node) => (isOff(node) ? null : type.parse(node)) };
}

/** Whether a value is off: falsy in Python, as docker-registry tested it, or the placeholder. Never throws a YamlError. */
export function isOff(node: YamlNode | undefined): boolean {
  if (node === undefined) return true;
  if (isMap(node)) return [...node.values()].every(isOff);
  if (!isScalar(node)) return node.length === 0;
  const value = textOf(node);
  if (value === null || value === PLACEHOLDER) return true;
  return node.isPlain && BOOLEANS.get(value.toLowerCase()) === false;
}

export function isPlaceholder(node: YamlNode | undefined): boolean {
  return isScalar(node) && textOf(node) === PLACEHOLDER;
}

export function isNull(node: YamlNode): boolean {
  return isScalar(node) && textOf(node) === null;
}

function whereText<T>(node: YamlNode, read: (value: string) => T | undefined): T | null | undefined {
  if (!isScalar(node)) return undefined;
  const value = textOf(node);
  return value === null ? null : read(value);
}

/** The scalar's text; null if it is empty or a spelling of null. */
function textOf(scalar: Scalar): string | null {
  const { text: value, isPlain } = scalar.variable ? unquoted(scalar.text.trim(), scalar.variable.parse) : scalar;
  return value === '' || (isPlain && isNullText(value)) ? null : value;
}

/** Removes the quotes of `"0123"` and `'0123'`; leaves any other text, also one with unmatched quotes. */
function unquoted(value: string, parse: ParseYaml): Scalar {
  if (/^(?:"[\s\S]*"|'[\s\S]*')$/.test(value)) {
    try {
      const node = parse(value);
      if (isScalar(node)) return node;
    } catch (error) {
      // A secret may begin and end with a quote.
      if (!(error instanceof YamlError)) throw error;
    }
  }
  return { text: value, isPlain: true };
}
