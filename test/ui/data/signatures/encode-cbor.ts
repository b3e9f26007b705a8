export class Tagged {
  readonly tag: number;
  readonly value: unknown;

  constructor(tag: number, value: unknown) {
    this.tag = tag;
    this.value = value;
  }
}

/** Bytes that are no value of their own: they are written as they are. */
export class Raw {
  readonly bytes: Buffer;

  constructor(hex: string) {
    this.bytes = Buffer.from(hex, 'hex');
  }
}

/** CBOR of integers, texts, `null`, bytes, arrays, maps and tags. https://www.rfc-editor.org/rfc/rfc8949#section-3 */
export function encodeCbor(value: unknown): Buffer {
  if (value instanceof Raw) return value.bytes;
  if (value instanceof Tagged) return Buffer.concat([head(6, value.tag), encodeCbor(value.value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(encodeCbor)]);
  if (value instanceof Map) return Buffer.concat([head(5, value.size), ...[...value].flat().map(encodeCbor)]);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (value === null) return Buffer.of(0xf6);
  throw new TypeError(`no CBOR is made of ${String(value)}`);
}

function head(majorType: number, argument: number): Buffer {
  const type = majorType * 32;
  if (argument < 24) return Buffer.of(type + argument);
  const bytes = Buffer.alloc(9);
  bytes.writeBigUInt64BE(BigInt(argument), 1);
  const size = argument < 2 ** 8 ? 1 : argument < 2 ** 16 ? 2 : argument < 2 ** 32 ? 4 : 8;
  return Buffer.concat([Buffer.of(type + 24 + Math.log2(size)), bytes.subarray(9 - size)]);
}
