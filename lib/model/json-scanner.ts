import type { JsonValue } from './json.ts';
import { BACKSLASH, CLOSE_BRACE, CLOSE_BRACKET, COLON, COMMA, OPEN_BRACE, OPEN_BRACKET, QUOTE } from './json-bytes.ts';

/** What is read of a value. The rest of the document is skipped; of its syntax only strings and brackets are looked at. */
export type Selection = {
  /** Gets the value; `undefined` for one that is too large. */
  take?: (value: JsonValue | undefined) => void;
  /** Gets the bytes of a string as they come, with its quotes and escapes. */
  takeText?: (bytes: Uint8Array) => void;
  /** Of an object: values by their names, which are ASCII. A name that the document writes with escapes is not found. */
  fields?: ReadonlyMap<string, Selection>;
  /** Of an array: every item. */
  items?: Selection;
  /** Called before and after the fields of an object. */
  begin?: () => void;
  end?: () => void;
};

/** Larger values are not taken. Bounds the time of `JSON.parse`, too. */
export const MAX_TAKEN_BYTES = 64 * 1024;
const MAX_DEPTH = 200;
/** Values that are looked at one by one: twice as many as in an SBOM of 32 MiB. Bounds the time for small ones. */
export const MAX_SCANNED_VALUES = 2_000_000;

/** The bytes are not JSON, or nested too deep. */
export class InvalidJsonError extends Error {
  override readonly name = 'InvalidJsonError';
}

/** The document has more values in the selected objects and arrays than are read. */
export class TooManyValuesError extends Error {
  override readonly name = 'TooManyValuesError';
}

type State = 'value' | 'item or end' | 'name or end' | 'name' | 'colon' | 'comma or end' | 'whole value' | 'done';

type Container = { selection: Selection; isObject: boolean };

/**
 * Reads chosen values of a JSON document that comes in pieces, in time linear in its bytes and in memory that does not grow with
 * it: for documents that are too large for `parseJson`.
 */
export class JsonScanner {
  readonly #containers: Container[] = [];
  #state: State = 'value';
  /** Of the value that comes next. */
  #selection: Selection | undefined;
  #values = 0;
  /** Of a value that is skipped or taken as a whole: the brackets that are open in it. */
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** What earlier pieces had of the name, or of the value that is taken. */
  #kept: Buffer[] = [];
  #keptBytes = 0;

  constructor(selection: Selection) {
    this.#selection = selection;
  }

  /** @throws InvalidJsonError, TooManyValuesError */
  write(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === 'whole value') at = this.#readWhole(bytes, at);
      else if (this.#state === 'name') at = this.#readName(bytes, at);
      else at += this.#step(bytes[at] ?? 0);
    }
  }

  /** After the last byte. @throws InvalidJsonError if the document is not complete */
  end(): void {
    if (this.#state !== 'done') throw new InvalidJsonError('the document ends too early');
  }

  /** @returns how many bytes it has consumed: 0 for the first one of a value that is read as a whole */
  #step(byte: number): 0 | 1 {
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return 1;
    const container = this.#containers.at(-1);
    switch (this.#state) {
      case 'item or end':
        if (byte === CLOSE_BRACKET) return this.#close();
        return this.#startValue(byte, container?.selection.items);
      case 'value':
        return this.#startValue(byte, this.#selection);
      case 'name or end':
        if (byte === CLOSE_BRACE) return this.#close();
        if (byte !== QUOTE) throw unexpected(byte);
        this.#state = 'name';
        return 1;
      case 'colon':
        if (byte !== COLON) throw unexpected(byte);
        this.#state = 'value';
        return 1;
      case 'comma or end':
        if (byte === (container?.isObject ? CLOSE_BRACE : CLOSE_BRACKET)) return this.#close();
        if (byte !== COMMA) throw unexpected(byte);
        this.#state = container?.isObject ? 'name or end' : 'value';
        this.#selection = container?.selection.items;
        return 1;
      default:
        throw unexpected(byte);
    }
  }

  #startValue(byte: number, selection: Selection | undefined): 0 | 1 {
    if (++this.#values > MAX_SCANNED_VALUES) throw new TooManyValuesError(`more than ${MAX_SCANNED_VALUES} values`);
    const isObject = byte === OPEN_BRACE && selection?.fields !== undefined;
    const isDescended = isObject || (byte === OPEN_BRACKET && selection?.items !== undefined);
    if (selection && isDescended) {
      if (this.#containers.length >= MAX_DEPTH) throw new InvalidJsonError('the document is nested too deep');
      this.#containers.push({ selection, isObject });
      this.#state = isObject ? 'name or end' : 'item or end';
      if (isObject) selection.begin?.();
      return 1;
    }
    if (!VALUE_STARTS.includes(byte)) throw unexpected(byte);
    this.#state = 'whole value';
    this.#selection = selection;
    this.#depth = 0;
    return 0;
  }

  #close(): 1 {
    const container = this.#containers.pop();
    if (container?.isObject) container.selection.end?.();
    this.#afterValue();
    return 1;
  }

  #afterValue(): void {
    this.#state = this.#containers.length > 0 ? 'comma or end' : 'done';
  }

  #readName(bytes: Buffer, from: number): number {
    const end = this.#endOfString(bytes, from);
    if (this.#isInString) this.#keep(bytes.subarray(from, end));
    else {
      const name = this.#textOf(bytes, from, end - 1);
      this.#selection = name === undefined ? undefined : this.#containers.at(-1)?.selection.fields?.get(name);
      this.#state = 'colon';
    }
    return end;
  }

  #readWhole(bytes: Buffer, from: number): number {
    const end = this.#endOfWhole(bytes, from);
    const { take, takeText } = this.#selection ?? {};
    takeText?.(bytes.subarray(from, end));
    if (!take) return end;
    if (this.#state === 'whole value') this.#keep(bytes.subarray(from, end));
    else {
      const text = this.#textOf(bytes, from, end);
      take(text === undefined ? undefined : parsed(text));
    }
    return end;
  }

  /** The end of the value that is read as a whole, or of these bytes; calls `#afterValue` in the first case. */
  #endOfWhole(bytes: Uint8Array, from: number): number {
    let at = from;
    while (at < bytes.length) {
      if (this.#isInString) {
        at = this.#endOfString(bytes, at);
        if (this.#isInString || this.#depth > 0) continue;
        this.#afterValue();
        return at;
      }
      switch (bytes[at]) {
        case QUOTE:
          this.#isInString = true;
          break;
        case OPEN_BRACKET:
        case OPEN_BRACE:
          if (++this.#depth + this.#containers.length > MAX_DEPTH) {
            throw new InvalidJsonError('the document is nested too deep');
          }
          break;
        case CLOSE_BRACKET:
        case CLOSE_BRACE:
          if (this.#depth > 1) {
            this.#depth--;
            break;
          }
          this.#afterValue();
          return this.#depth === 1 ? at + 1 : at; // at the end of the value itself, or after a number in a container
        case COMMA:
        case 0x20:
        case 0x09:
        case 0x0a:
        case 0x0d:
          if (this.#depth > 0) break;
          this.#afterValue();
          return at;
      }
      at++;
    }
    return at;
  }

  /** The end of the string that `from` is in, or of these bytes; `#isInString` tells which. */
  #endOfString(bytes: Uint8Array, from: number): number {
    this.#isInString = true;
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) {
        this.#isInString = false;
        return at + 1;
      }
    }
    return bytes.length;
  }

  #keep(bytes: Buffer): void {
    this.#keptBytes += bytes.length;
    if (this.#keptBytes <= MAX_TAKEN_BYTES) this.#kept.push(bytes);
    else this.#kept = [];
  }

  /** What was kept, and these bytes; `undefined` if it is too large. */
  #textOf(bytes: Buffer, from: number, end: number): string | undefined {
    const isTooLarge = this.#keptBytes + end - from > MAX_TAKEN_BYTES;
    if (this.#keptBytes === 0) return isTooLarge ? undefined : bytes.toString('utf8', from, end);
    const kept = this.#kept;
    this.#kept = [];
    this.#keptBytes = 0;
    return isTooLarge ? undefined : Buffer.concat([...kept, bytes.subarray(from, end)]).toString();
  }
}

function parsed(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new InvalidJsonError('a value is not JSON', { cause });
  }
}

const VALUE_STARTS = Buffer.from('{["-0123456789tfn');

function unexpected(byte: number): InvalidJsonError {
  return new InvalidJsonError(`unexpected ${JSON.stringify(String.fromCharCode(byte))}`);
}

/** A selection of what either of two selects. The same value is taken by both. */
export function eitherOf(left: Selection, right: Selection): Selection {
  const fields = new Map(left.fields);
  for (const [name, selection] of right.fields ?? []) {
    const other = fields.get(name);
    fields.set(name, other ? eitherOf(other, selection) : selection);
  }
  const items = left.items && right.items ? eitherOf(left.items, right.items) : (left.items ?? right.items);
  const takes = [left.take, right.take].filter((take) => take !== undefined);
  return {
    ...left,
    ...right,
    ...(fields.size > 0 && { fields }),
    ...(items && { items }),
    ...(takes.length > 0 && {
      take: (value) => {
        for (const take of takes) take(value);
      },
    }),
  };
}

/** A selection of fields by their names. */
export function fieldsOf(fields: Record<string, Selection>): { fields: ReadonlyMap<string, Selection> } {
  return { fields: new Map(Object.entries(fields)) };
}
