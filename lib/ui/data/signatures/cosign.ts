// Signatures of cosign: a payload of its own, with the signature in annotations of the layer that holds it.
// https://github.com/sigstore/cosign/blob/v3.0.2/specs/SIGNATURE_SPEC.md
import type { X509Certificate } from 'node:crypto';
import type { JsonValue } from '../../../model/json.ts';
import { encodeText } from '../../../streams/bytes.ts';
import { certificateClaims, parseCertificate } from './certificates.ts';
import {
  type Beside,
  base64Of,
  type CheckedSignature,
  type Claims,
  objectIn,
  pairsOf,
  parseStrictly,
  type Trust,
  textIn,
  timeOf,
  unknownSignature,
} from './signature.ts';
import { signerOf } from './trusted-keys.ts';

const SIGNATURE = 'dev.cosignproject.cosign/signature';
const CERTIFICATE = 'dev.sigstore.cosign/certificate';
/** The entry of a transparency log. */
const BUNDLE = 'dev.sigstore.cosign/bundle';

const PAYLOAD_TYPE = 'cosign container image signature';

/** @param annotations of the layer */
export async function checkSimpleSigning(
  payload: Uint8Array,
  annotations: Readonly<Record<string, string>>,
  { subject, keys }: Trust,
): Promise<CheckedSignature> {
  const document = parseStrictly(payload);
  const critical = objectIn(document, 'critical');
  const signature = base64Of(annotations[SIGNATURE]);
  if (!critical || !signature) return unknownSignature('unreadable', 'cosign');
  const digest = textIn(objectIn(critical, 'image'), 'docker-manifest-digest');
  const reference = textIn(objectIn(critical, 'identity'), 'docker-reference');
  const certificate = parseCertificate(encodeText(annotations[CERTIFICATE] ?? ''));
  const logged = objectIn(parseStrictly(encodeText(annotations[BUNDLE] ?? '')), 'Payload');
  const optional = objectIn(document, 'optional');
  const signedAt = timeOf(optional?.timestamp);
  const claims: Claims = {
    format: 'cosign',
    digests: digest === undefined ? [] : [digest],
    ...(reference !== undefined && { reference }),
    annotations: pairsOf(optional),
    ...(signedAt && { signedAt }),
    beside: besideOf(certificate, logged?.integratedTime),
  };
  if (critical.type !== PAYLOAD_TYPE) return { claims, problem: 'otherType' };
  if (digest !== subject.digest) return { claims, problem: 'otherDigest' };
  return await signedBy({ bytes: payload, signature }, { claims, keys });
}

/** @param loggedAt seconds of Unix time */
export function besideOf(certificate: X509Certificate | undefined, loggedAt: JsonValue | undefined): Beside {
  const at = timeOf(loggedAt);
  return { ...(at && { loggedAt: at }), ...(certificate && { certificate: certificateClaims(certificate) }) };
}

/** Which trusted key made a signature whose claims are right. */
export async function signedBy(
  signed: { bytes: Uint8Array; signature: Uint8Array },
  { claims, keys }: { claims: Claims } & Pick<Trust, 'keys'>,
): Promise<CheckedSignature> {
  const signer = await signerOf(keys, signed);
  if (signer !== undefined) return { claims, signer };
  if (claims.beside?.certificate) return { claims, problem: 'keyless' };
  return { claims, problem: keys.some((key) => 'publicKey' in key) ? 'untrusted' : 'noKeys' };
}
