// Envelopes of notation in COSE. https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-envelope-cose.md
import type { JsonObject, JsonValue } from '../../../model/json.ts';
import { concatBytes, encodeText } from '../../../streams/bytes.ts';
import { type CborMap, type CborValue, parseCbor, taggedValue } from './cbor.ts';
import { EXPIRY, type NotationEnvelope, SCHEME, SIGNING_TIME } from './notation.ts';

/** Tag of COSE_Sign1. https://www.rfc-editor.org/rfc/rfc9052#section-2 */
const SIGN1 = 18;
/** Tag of seconds of Unix time. https://www.rfc-editor.org/rfc/rfc8949#section-3.4.2 */
const UNIX_TIME = 1;

/** Labels of headers. https://www.iana.org/assignments/cose/cose.xhtml#header-parameters */
const ALG = 1;
const CRIT = 2;
const CONTENT_TYPE = 3;
const X5CHAIN = 33;

/** https://www.iana.org/assignments/cose/cose.xhtml#algorithms */
const ALGORITHMS: ReadonlyMap<CborValue | undefined, string> = new Map([
  [-7, 'ES256'],
  [-35, 'ES384'],
  [-36, 'ES512'],
  [-37, 'PS256'],
  [-38, 'PS384'],
  [-39, 'PS512'],
]);

/** @returns `undefined` for bytes that are no such envelope, and if a header is both protected and not */
export function parseCose(bytes: Uint8Array): NotationEnvelope | undefined {
  const message = taggedValue(parseCbor(bytes), SIGN1);
  if (!Array.isArray(message) || message.length !== 4) return undefined;
  const [headerBytes, unprotectedHeader, payload, signature] = message;
  if (!isBytes(headerBytes) || !isBytes(payload) || !isBytes(signature)) return undefined;
  const header = parseCbor(headerBytes);
  if (!(header instanceof Map) || !(unprotectedHeader instanceof Map)) return undefined;
  if ([...header.keys()].some((label) => unprotectedHeader.has(label))) return undefined;
  const certificates = header.get(X5CHAIN) ?? unprotectedHeader.get(X5CHAIN);
  if (!Array.isArray(certificates) || !certificates.every(isBytes)) return undefined;
  return { header: namedHeader(header), payload, certificates, bytes: signedBytes(headerBytes, payload), signature };
}

function isBytes(value: CborValue | undefined): value is Uint8Array {
  return value instanceof Uint8Array;
}

/** The headers by their names in JWS. What has another type than it should is `null`. */
function namedHeader(header: CborMap): JsonObject {
  const critical = header.get(CRIT);
  return {
    alg: ALGORITHMS.get(header.get(ALG)) ?? null,
    crit: Array.isArray(critical) ? critical.map(textOf) : null,
    cty: textOf(header.get(CONTENT_TYPE)),
    ...(header.has(SCHEME) && { [SCHEME]: textOf(header.get(SCHEME)) }),
    ...(header.has(SIGNING_TIME) && { [SIGNING_TIME]: secondsOf(header.get(SIGNING_TIME)) }),
    ...(header.has(EXPIRY) && { [EXPIRY]: secondsOf(header.get(EXPIRY)) }),
  };
}

function textOf(value: CborValue | undefined): JsonValue {
  return typeof value === 'string' ? value : null;
}

function secondsOf(value: CborValue | undefined): JsonValue {
  const seconds = taggedValue(value, UNIX_TIME);
  return typeof seconds === 'number' ? seconds : null;
}

/** `Sig_structure`, without external data. https://www.rfc-editor.org/rfc/rfc9052#section-4.4 */
function signedBytes(headerBytes: Uint8Array, payload: Uint8Array): Uint8Array {
  const context = encodeText('Signature1');
  return concatBytes([
    Uint8Array.of(0x84, 0x60 + context.length),
    context,
    lengthOf(headerBytes),
    headerBytes,
    lengthOf(new Uint8Array()),
    lengthOf(payload),
    payload,
  ]);
}

/** The start of a byte string: its length in the shortest form. */
function lengthOf({ length }: Uint8Array): Uint8Array {
  if (length < 24) return Uint8Array.of(0x40 + length);
  if (length < 2 ** 8) return Uint8Array.of(0x58, length);
  if (length < 2 ** 16) return Uint8Array.of(0x59, length >> 8, length);
  return Uint8Array.of(0x5a, length >> 24, length >> 16, length >> 8, length);
}
