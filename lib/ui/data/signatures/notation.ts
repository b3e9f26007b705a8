// Signatures of notation. https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-specification.md
import { constants, type KeyObject, type X509Certificate } from 'node:crypto';
import type { JsonObject, JsonValue } from '../../../model/json.ts';
import { certificateClaims, MAX_CHAIN, parseCertificate, verifyChain } from './certificates.ts';
import {
  type CheckedSignature,
  type Claims,
  objectIn,
  type Problem,
  pairsOf,
  parseStrictly,
  type Trust,
  textIn,
  timeOf,
  unknownSignature,
} from './signature.ts';
import { isSignature, type Signed } from './trusted-keys.ts';

/** What an envelope holds: JWS or COSE. */
export type NotationEnvelope = Signed & {
  /** The protected headers, by their names in JWS. */
  header: JsonObject;
  payload: Uint8Array;
  /** The signer's first. */
  certificates: readonly Uint8Array[];
};

const PAYLOAD = 'application/vnd.cncf.notary.payload.v1+json';
export const SCHEME = 'io.cncf.notary.signingScheme';
export const SIGNING_TIME = 'io.cncf.notary.signingTime';
export const EXPIRY = 'io.cncf.notary.expiry';
/** Headers that are understood where `crit` names them. */
const UNDERSTOOD: readonly JsonValue[] = [SCHEME, EXPIRY];
/** The signing time is the signer's own claim. The other scheme, of signing authorities, is not verified. */
const X509 = 'notary.x509';

/** @param envelope `undefined` for bytes that are none */
export async function checkNotation(envelope: NotationEnvelope | undefined, trust: Trust): Promise<CheckedSignature> {
  const target = objectIn(envelope && parseStrictly(envelope.payload), 'targetArtifact');
  const chain = envelope && chainOf(envelope.certificates);
  if (!envelope || !target || !chain) return unknownSignature('unreadable', 'notation');
  const { header } = envelope;
  const claims = claimsOf(header, target, chain);
  const problem = headerProblem(header, claims, trust);
  if (problem) return { claims, problem };
  const algorithm = textIn(header, 'alg');
  let found: Problem = trust.keys.some((key) => 'certificate' in key) ? 'untrusted' : 'noKeys';
  for (const key of trust.keys) {
    if (!('certificate' in key) || !chain.some(({ raw }) => raw.equals(key.certificate.raw))) continue;
    // Not the claimed time alone: the holder of an expired key can claim any.
    const times = [trust.now, ...(claims.signedAt ? [claims.signedAt] : [])];
    const verified = verifyChain(chain, { trusted: key.certificate, times });
    if ('problem' in verified) found = verified.problem;
    else if (await isSigned(envelope, { algorithm, publicKey: verified.publicKey }))
      return { claims, signer: key.name };
    else found = 'wrongSignature';
  }
  return { claims, problem: found };
}

function chainOf(certificates: readonly Uint8Array[]): [X509Certificate, ...X509Certificate[]] | undefined {
  if (certificates.length > MAX_CHAIN) return undefined;
  const [first, ...others] = certificates.flatMap((bytes) => parseCertificate(bytes) ?? []);
  return first && others.length + 1 === certificates.length ? [first, ...others] : undefined;
}

function claimsOf(header: JsonObject, target: JsonObject, [signer]: readonly [X509Certificate, ...unknown[]]): Claims {
  const digest = textIn(target, 'digest');
  const signedAt = timeOf(header[SIGNING_TIME]);
  const expiresAt = timeOf(header[EXPIRY]);
  return {
    format: 'notation',
    digests: digest === undefined ? [] : [digest],
    annotations: pairsOf(objectIn(target, 'annotations')),
    ...(signedAt && { signedAt }),
    ...(expiresAt && { expiresAt }),
    certificate: certificateClaims(signer),
  };
}

function headerProblem(header: JsonObject, claims: Claims, { subject, now }: Trust): Problem | undefined {
  if (header.cty !== PAYLOAD) return 'otherType';
  if (claims.digests[0] !== subject.digest) return 'otherDigest';
  const { crit } = header;
  const isUnderstood =
    Array.isArray(crit) &&
    crit.includes(SCHEME) &&
    crit.every((name) => UNDERSTOOD.includes(name) && Object.hasOwn(header, String(name)));
  if (!isUnderstood || header[SCHEME] !== X509 || !claims.signedAt) return 'unknownScheme';
  if (EXPIRY in header && (!claims.expiresAt || claims.expiresAt <= now)) return 'expired';
  return undefined;
}

/** Keys with the one algorithm that the specification allows for each. */
const ALGORITHMS: Readonly<Record<string, { hash: string; keys: string }>> = {
  ES256: { hash: 'sha256', keys: 'prime256v1' },
  ES384: { hash: 'sha384', keys: 'secp384r1' },
  ES512: { hash: 'sha512', keys: 'secp521r1' },
  PS256: { hash: 'sha256', keys: '2048' },
  PS384: { hash: 'sha384', keys: '3072' },
  PS512: { hash: 'sha512', keys: '4096' },
};

async function isSigned(
  { bytes, signature }: Signed,
  { algorithm = '', publicKey }: { algorithm: string | undefined; publicKey: KeyObject },
): Promise<boolean> {
  const known = Object.hasOwn(ALGORITHMS, algorithm) ? ALGORITHMS[algorithm] : undefined;
  const { namedCurve, modulusLength } = publicKey.asymmetricKeyDetails ?? {};
  if (!known || known.keys !== (namedCurve ?? String(modulusLength))) return false;
  const { RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST } = constants;
  const options =
    namedCurve === undefined
      ? { padding: RSA_PKCS1_PSS_PADDING, saltLength: RSA_PSS_SALTLEN_DIGEST }
      : { dsaEncoding: 'ieee-p1363' };
  return await isSignature({ bytes, signature }, { publicKey, hash: known.hash, options });
}
