// Makes envelopes of notation, signed by the key of the certificates for signers unless another is given.
import { type KeyObject, sign } from 'node:crypto';
import type { NotationEnvelope } from '../../../../lib/ui/data/signatures/notation.ts';
import { parseCose } from '../../../../lib/ui/data/signatures/notation-cose.ts';
import { parseJws } from '../../../../lib/ui/data/signatures/notation-jws.ts';
import { encodeCbor, Tagged } from './encode-cbor.ts';
import { certificate, IMAGE_DIGEST, privateKey } from './fixture.ts';

export const PAYLOAD_TYPE = 'application/vnd.cncf.notary.payload.v1+json';
export const SCHEME = 'io.cncf.notary.signingScheme';
export const TIME = 'io.cncf.notary.signingTime';
export const EXPIRY = 'io.cncf.notary.expiry';

export type Made = {
  /** Names of certificates, or bytes in place of one. */
  chain?: (string | Buffer)[];
  /** By the names of JWS; `undefined` leaves one out. */
  header?: Record<string, unknown>;
  target?: unknown;
  key?: KeyObject;
  hash?: string;
};

/** Fields of an envelope in place of those that it would have; in JWS bytes become base64. */
type Changes = Record<string, unknown>;

export type Form = {
  name: string;
  make: (made?: Made, changes?: Changes) => Buffer;
  parse: (bytes: Uint8Array) => NotationEnvelope | undefined;
};

const partsOf = ({ chain = ['good', 'inter', 'root'], header = {}, target, key, hash = 'sha256' }: Made) => ({
  header: {
    alg: 'ES256',
    crit: [SCHEME],
    cty: PAYLOAD_TYPE,
    [SCHEME]: 'notary.x509',
    [TIME]: '2026-06-01T00:00:00Z',
    ...header,
  } as Record<string, unknown>,
  payload: Buffer.from(JSON.stringify({ targetArtifact: target ?? { digest: IMAGE_DIGEST, mediaType: 'x', size: 1 } })),
  certificates: chain.map((item) => (typeof item === 'string' ? certificate(item).raw : item)),
  signatureOf: (bytes: Buffer) => sign(hash, bytes, { key: key ?? privateKey('signer'), dsaEncoding: 'ieee-p1363' }),
});

/** Base64 of bytes, of a text, or of a value as JSON. */
export const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value)).toString(
    'base64url',
  );

function makeJws(made: Made = {}, changes: Changes = {}): Buffer {
  const { header, payload, certificates, signatureOf } = partsOf(made);
  const [protectedHeader, encoded] = [encode(header), encode(payload)];
  return Buffer.from(
    JSON.stringify({
      payload: encoded,
      protected: protectedHeader,
      header: { x5c: certificates.map((raw) => raw.toString('base64')) },
      signature: encode(signatureOf(Buffer.from(`${protectedHeader}.${encoded}`))),
      ...Object.fromEntries(
        Object.entries(changes).map(([name, value]) => [name, value instanceof Uint8Array ? encode(value) : value]),
      ),
    }),
  );
}

const LABELS = new Map([
  ['alg', 1],
  ['crit', 2],
  ['cty', 3],
]);
const ALGORITHMS = new Map<unknown, number>([
  ['ES256', -7],
  ['ES384', -35],
  ['PS256', -37],
  ['HS256', 5],
]);

/** A header by its label. Times are seconds with a tag, unless they are none. */
function labelled([name, value]: [string, unknown]): [number | string, unknown] {
  const label = LABELS.get(name) ?? name;
  if (name === 'alg') return [label, ALGORITHMS.get(value) ?? value];
  const seconds = name === TIME || name === EXPIRY ? Date.parse(String(value)) / 1000 : Number.NaN;
  return [label, Number.isNaN(seconds) ? value : new Tagged(1, seconds)];
}

/** @param changes `protected`: the bytes; `unprotected`: the map; `payload`, `signature` */
function makeCose(made: Made = {}, changes: Changes = {}): Buffer {
  const { header, payload, certificates, signatureOf } = partsOf(made);
  const entries = Object.entries(header).filter(([, value]) => value !== undefined);
  const headerBytes = changes.protected ?? encodeCbor(new Map(entries.map(labelled)));
  const parts = {
    protected: headerBytes,
    unprotected: new Map([[33, certificates]]),
    payload,
    signature: signatureOf(encodeCbor(['Signature1', headerBytes, Buffer.alloc(0), payload])),
    ...changes,
  };
  return encodeCbor(new Tagged(18, [parts.protected, parts.unprotected, parts.payload, parts.signature]));
}

export const JWS: Form = { name: 'JWS', make: makeJws, parse: parseJws };
export const COSE: Form = { name: 'COSE', make: makeCose, parse: parseCose };
