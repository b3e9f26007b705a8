import { RegistryError } from '../model/errors.ts';

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

const utf8 = new TextEncoder();

/** Bytes in an ArrayBuffer, as Web APIs require them, not in a SharedArrayBuffer. */
export type Bytes = Uint8Array<ArrayBuffer>;

export function encodeText(text: string): Bytes {
  return utf8.encode(text);
}

export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Reads a whole stream into memory: for small objects only. */
export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return concatBytes(chunks);
}

/** Joins chunks. A single chunk is not copied. */
export function concatBytes(chunks: readonly Uint8Array[]): Bytes {
  const [first] = chunks;
  return chunks.length === 1 && first?.buffer instanceof ArrayBuffer ? (first as Bytes) : Buffer.concat(chunks);
}

/**
 * Reads a body into memory.
 * @param what names the body in the message: `the manifest`
 * @throws RegistryError SIZE_INVALID as soon as it is larger than `maxBytes`
 */
export async function readAtMost(body: AsyncIterable<Uint8Array>, maxBytes: number, what: string): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw tooLarge(maxBytes, what);
    chunks.push(chunk);
  }
  return concatBytes(chunks);
}

export function tooLarge(maxBytes: number, what: string): RegistryError {
  return new RegistryError('SIZE_INVALID', `${what} is larger than ${maxBytes} bytes`);
}
