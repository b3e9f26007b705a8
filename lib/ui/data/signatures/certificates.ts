// Certificates beside signatures: what they claim, and whether a chain of them leads to a trusted one.
import { type KeyObject, X509Certificate } from 'node:crypto';
import { decodeText } from '../../../streams/bytes.ts';
import { derElements, objectIdText, TAGS } from './der.ts';
import { keyProblem } from './trusted-keys.ts';

/** The subject and the issuer that a certificate names. Texts as the certificate has them. */
export type CertificateClaims = {
  subject: string;
  /** Addresses and URLs, such as `email:a@example.com`. */
  identity?: string;
  /** The identity provider whose token the certificate was issued for. */
  identityProvider?: string;
  issuer: string;
  validFrom?: Date;
  validTo?: Date;
};

/** Larger than any that is issued for signatures. */
const MAX_CERTIFICATE_BYTES = 16 * 1024;
/** A leaf, intermediate ones and a root. */
export const MAX_CHAIN = 6;

/** @param bytes PEM or DER. `undefined` for anything else */
export function parseCertificate(bytes: Uint8Array): X509Certificate | undefined {
  if (bytes.length > MAX_CERTIFICATE_BYTES) return undefined;
  try {
    return new X509Certificate(bytes);
  } catch {
    return undefined;
  }
}

/** https://github.com/sigstore/fulcio/blob/v1.7.1/docs/oid-info.md */
const PROVIDER = '1.3.6.1.4.1.57264.1.8';
const PROVIDER_BEFORE = '1.3.6.1.4.1.57264.1.1';

export function certificateClaims(certificate: X509Certificate): CertificateClaims {
  const extensions = extensionsOf(certificate) ?? [];
  const valueIn = (wanted: string) => extensions.find(({ id }) => id === wanted)?.value;
  const [provider] = derElements(valueIn(PROVIDER) ?? new Uint8Array()) ?? [];
  const before = valueIn(PROVIDER_BEFORE);
  const [validFrom, validTo] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
  const identityProvider = provider?.tag === TAGS.utf8 ? provider.content : before;
  return {
    subject: nameText(certificate.subject),
    ...(certificate.subjectAltName !== undefined && { identity: certificate.subjectAltName }),
    ...(identityProvider && { identityProvider: decodeText(identityProvider) }),
    issuer: nameText(certificate.issuer),
    ...(!Number.isNaN(validFrom.getTime()) && { validFrom }),
    ...(!Number.isNaN(validTo.getTime()) && { validTo }),
  };
}

/** Node writes each part on a line of its own. */
function nameText(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ');
}

type Extension = { id: string; isCritical: boolean; value: Uint8Array };

/** https://www.rfc-editor.org/rfc/rfc5280#section-4.1 */
function extensionsOf({ raw }: X509Certificate): Extension[] | undefined {
  const [certificate] = derElements(raw) ?? [];
  const [body] = derElements(certificate?.content ?? new Uint8Array()) ?? [];
  const fields = derElements(body?.content ?? new Uint8Array());
  if (!fields) return undefined;
  const wrapped = fields.find(({ tag }) => tag === TAGS.extensions);
  if (!wrapped) return [];
  const [list] = derElements(wrapped.content) ?? [];
  const items = derElements(list?.content ?? new Uint8Array());
  return items?.map(({ content }) => {
    const parts = derElements(content) ?? [];
    const id = parts.find(({ tag }) => tag === TAGS.objectId);
    return {
      id: objectIdText(id?.content ?? new Uint8Array()),
      isCritical: parts.some(({ tag, content: flag }) => tag === TAGS.boolean && flag[0] !== 0),
      value: parts.find(({ tag }) => tag === TAGS.octetString)?.content ?? new Uint8Array(),
    };
  });
}

const KEY_USAGE = '2.5.29.15';
const BASIC_CONSTRAINTS = '2.5.29.19';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const ALTERNATIVE_NAME = '2.5.29.17';
/** Critical extensions that are understood. A certificate with another one, such as name constraints, verifies nothing. */
const UNDERSTOOD: readonly string[] = [KEY_USAGE, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, ALTERNATIVE_NAME];

/** RSA (PKCS 1) and ECDSA, each with SHA-256, SHA-384 and SHA-512; Ed25519. */
const SIGNATURE_ALGORITHMS: readonly string[] = [
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.3.101.112',
];

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
/** Any purpose, TLS servers, mail, time stamps, OCSP. */
const OTHER_PURPOSES: readonly string[] = [
  '2.5.29.37.0',
  '1.3.6.1.5.5.7.3.1',
  '1.3.6.1.5.5.7.3.4',
  '1.3.6.1.5.5.7.3.8',
  '1.3.6.1.5.5.7.3.9',
];

/**
 * Verifies a chain from a trusted certificate down to that of the signer, so that only keys are used whose certificates the trusted
 * one has issued, directly or through others. Not checked: revocation, certificate policies, and whom the certificate names.
 * @param chain the signer's first
 * @param options.times all of them must lie in the validity of each certificate
 * @returns the signer's key, and what is wrong with the chain
 * @see https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-specification.md#certificate-requirements
 */
export function verifyChain(
  chain: readonly X509Certificate[],
  { trusted, times }: { trusted: X509Certificate; times: readonly Date[] },
): { publicKey: KeyObject } | { problem: 'expired' | 'invalidChain' } {
  const anchor = chain.findIndex(({ raw }) => raw.equals(trusted.raw));
  const path = chain.slice(0, anchor + 1);
  const [signer] = path;
  if (!signer) return { problem: 'invalidChain' };
  for (const [at, certificate] of path.entries()) {
    if (!isAcceptable(certificate)) return { problem: 'invalidChain' };
    if (at > 0 && !mayIssue(certificate, at - 1)) return { problem: 'invalidChain' };
  }
  for (let at = path.length - 2; at >= 0; at--) {
    const [certificate, issuer] = path.slice(at);
    if (!certificate || !issuer || !isIssued(certificate, issuer)) return { problem: 'invalidChain' };
  }
  if (!maySign(signer)) return { problem: 'invalidChain' };
  const isValid = path.every((certificate) => times.every((time) => isValidAt(certificate, time)));
  return isValid ? { publicKey: signer.publicKey } : { problem: 'expired' };
}

function isValidAt({ validFrom, validTo }: X509Certificate, time: Date): boolean {
  return new Date(validFrom) <= time && time <= new Date(validTo);
}

function isAcceptable(certificate: X509Certificate): boolean {
  const extensions = extensionsOf(certificate);
  if (!extensions?.every(({ id, isCritical }) => !isCritical || UNDERSTOOD.includes(id))) return false;
  try {
    return keyProblem(certificate.publicKey) === undefined;
  } catch {
    return false; // a kind of key that is not supported
  }
}

function isIssued(certificate: X509Certificate, issuer: X509Certificate): boolean {
  const [outer] = derElements(certificate.raw) ?? [];
  const [, algorithm] = derElements(outer?.content ?? new Uint8Array()) ?? [];
  const [id] = derElements(algorithm?.content ?? new Uint8Array()) ?? [];
  if (!SIGNATURE_ALGORITHMS.includes(objectIdText(id?.content ?? new Uint8Array()))) return false;
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** @param between how many certificates of other issuers lie between this one and that of the signer */
function mayIssue(certificate: X509Certificate, between: number): boolean {
  if (!certificate.ca || !hasUsage(certificate, KEY_CERT_SIGN)) return false;
  const constraints = extensionsOf(certificate)?.find(({ id }) => id === BASIC_CONSTRAINTS);
  const [fields] = derElements(constraints?.value ?? new Uint8Array()) ?? [];
  const limit = derElements(fields?.content ?? new Uint8Array())?.find(({ tag }) => tag === INTEGER);
  return limit === undefined || (limit.content.length === 1 && between <= (limit.content[0] ?? 0));
}

const INTEGER = 0x02;

function maySign(certificate: X509Certificate): boolean {
  // The property of Node is named after another extension than the one that it reads.
  const purposes = certificate.keyUsage as string[] | undefined;
  const isForCode =
    !purposes || (purposes.includes(CODE_SIGNING) && !purposes.some((purpose) => OTHER_PURPOSES.includes(purpose)));
  return !certificate.ca && isForCode && hasUsage(certificate, DIGITAL_SIGNATURE);
}

/** Bits of the first byte. https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.3 */
const DIGITAL_SIGNATURE = 0x80;
const KEY_CERT_SIGN = 0x04;

function hasUsage(certificate: X509Certificate, bit: number): boolean {
  const usage = extensionsOf(certificate)?.find(({ id }) => id === KEY_USAGE);
  const [bits] = derElements(usage?.value ?? new Uint8Array()) ?? [];
  return bits?.tag === TAGS.bitString && ((bits.content[1] ?? 0) & bit) !== 0;
}
