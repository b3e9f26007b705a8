// Envelopes of notation in JWS. https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-envelope-jws.md
import { encodeText } from '../../../streams/bytes.ts';
import type { NotationEnvelope } from './notation.ts';
import { base64Of, objectIn, parseStrictly } from './signature.ts';

/** @returns `undefined` for bytes that are no such envelope */
export function parseJws(bytes: Uint8Array): NotationEnvelope | undefined {
  const envelope = parseStrictly(bytes);
  const headerBytes = base64Of(envelope?.protected, 'url');
  const payload = base64Of(envelope?.payload, 'url');
  const signature = base64Of(envelope?.signature, 'url');
  const header = headerBytes && parseStrictly(headerBytes);
  const x5c = objectIn(envelope, 'header')?.x5c;
  if (!header || !payload || !signature || !Array.isArray(x5c)) return undefined;
  return {
    header,
    payload,
    certificates: x5c.map((item) => base64Of(item) ?? new Uint8Array()),
    bytes: encodeText(`${envelope?.protected}.${envelope?.payload}`),
    signature,
  };
}
