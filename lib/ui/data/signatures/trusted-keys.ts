// The keys and certificates that the operator trusts: `pages.trusted_keys`.
import { constants, createPublicKey, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { repositoriesMatcher } from '../../../model/name-pattern.ts';
import type { RepositoryName } from '../../../model/names.ts';

/** As the configuration has it: the text of a PEM file, or where it is. */
export type TrustedKeySource = {
  /** The name by which pages show it. */
  name: string;
  /** Patterns of the repositories whose signatures it verifies. */
  repositories: string[];
} & ({ pem: string } | { path: string });

/** A public key verifies what was signed with it; a certificate verifies signatures whose chain of certificates has it. */
export type TrustedKey = { name: string; isFor: (repository: RepositoryName) => boolean } & (
  | { publicKey: KeyObject }
  | { certificate: X509Certificate }
);

/** Bounds the work for a signature, each of which is tried with each key. */
export const MAX_TRUSTED_KEYS = 20;

/** https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-specification.md#certificate-requirements */
export const MIN_RSA_BITS = 2048;
export const MAX_RSA_BITS = 8192;

/** Curves with the hashes that signers use with them, the likelier first. */
const HASHES: Readonly<Record<string, readonly string[]>> = {
  prime256v1: ['sha256'],
  secp384r1: ['sha384', 'sha256'],
  secp521r1: ['sha512', 'sha256'],
};

/**
 * Reads keys whose text is in a file.
 * @throws Error if a file cannot be read, or holds no key that is allowed
 */
export async function openTrustedKeys(sources: readonly TrustedKeySource[]): Promise<TrustedKey[]> {
  return await Promise.all(
    sources.map(async (source) => {
      try {
        const pem = 'pem' in source ? source.pem : await readFile(source.path, 'utf8');
        return { name: source.name, isFor: repositoriesMatcher(source.repositories), ...parseTrustedKey(pem) };
      } catch (cause) {
        const from = 'path' in source ? ` in ${source.path}` : '';
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`pages.trusted_keys: the key ${source.name}${from} is not usable: ${why}`, { cause });
      }
    }),
  );
}

/**
 * Reads a public key or a certificate.
 * @param text of a PEM file with one entry
 * @throws Error that says what is wrong. The message holds nothing of the text, which may be a private key.
 */
export function parseTrustedKey(text: string): { publicKey: KeyObject } | { certificate: X509Certificate } {
  const labels = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map(([, label = '']) => label);
  const [label, ...more] = labels;
  if (label === undefined) throw new Error('it has no line -----BEGIN PUBLIC KEY----- or -----BEGIN CERTIFICATE-----');
  if (labels.some((found) => found.includes('PRIVATE'))) {
    throw new Error('it is a private key, which does not belong here; give the public key');
  }
  if (more.length > 0) throw new Error(`it has ${labels.length} keys or certificates; give each an entry of its own`);
  if (!['PUBLIC KEY', 'CERTIFICATE'].includes(label)) {
    throw new Error(`it is a ${label}; allowed: PUBLIC KEY and CERTIFICATE`);
  }
  const isCertificate = label === 'CERTIFICATE';
  const read = parsePem(text, isCertificate);
  const problem = keyProblem(read instanceof X509Certificate ? read.publicKey : read);
  if (problem !== undefined) throw new Error(problem);
  return read instanceof X509Certificate ? { certificate: read } : { publicKey: read };
}

function parsePem(text: string, isCertificate: boolean): KeyObject | X509Certificate {
  try {
    return isCertificate ? new X509Certificate(text) : createPublicKey(text);
  } catch {
    throw new Error(`its PEM text holds no ${isCertificate ? 'certificate' : 'public key'} that can be read`);
  }
}

/** Why no signature by this key is verified; undefined for a key that is allowed. */
export function keyProblem({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | undefined {
  const bits = details?.modulusLength ?? 0;
  const curve = details?.namedCurve ?? '';
  if (type === 'ed25519' || (type === 'ec' && Object.hasOwn(HASHES, curve))) return undefined;
  if (type === 'rsa' && bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS) return undefined;
  const what =
    type === 'rsa'
      ? `an RSA key of ${bits} bits`
      : type === 'ec'
        ? `a key on the curve ${curve}`
        : `a key of type ${type}`;
  return `it has ${what}; allowed: ECDSA on P-256, P-384 or P-521, Ed25519, RSA of ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits`;
}

/** The algorithms that signers use with a key. */
function algorithmsOf(publicKey: KeyObject): { hash: string | null; options: object }[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey;
  if (type === 'ed25519') return [{ hash: null, options: {} }];
  if (type === 'ec') {
    return (HASHES[details?.namedCurve ?? ''] ?? []).map((hash) => ({ hash, options: { dsaEncoding: 'der' } }));
  }
  const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_AUTO } = constants;
  return [
    { hash: 'sha256', options: { padding: RSA_PKCS1_PADDING } },
    { hash: 'sha256', options: { padding: RSA_PKCS1_PSS_PADDING, saltLength: RSA_PSS_SALTLEN_AUTO } },
  ];
}

/**
 * Whether a signature is right. It is computed in another thread, so that no request waits for it.
 * @param options of `crypto.verify`
 */
export async function isSignature(
  { bytes, signature }: Signed,
  { publicKey, hash, options }: { publicKey: KeyObject; hash: string | null; options: object },
): Promise<boolean> {
  return await new Promise((resolve) => {
    const key = { key: publicKey, ...options };
    // An error is that of a signature which the algorithm cannot have.
    verify(hash, bytes, key, signature, (error, isRight) => resolve(!error && isRight));
  });
}

export type Signed = { bytes: Uint8Array; signature: Uint8Array };

/** The name of the first of these keys that has signed the bytes. Certificates are passed over. */
export async function signerOf(keys: readonly TrustedKey[], signed: Signed): Promise<string | undefined> {
  for (const key of keys) {
    if (!('publicKey' in key)) continue;
    const { publicKey } = key;
    for (const algorithm of algorithmsOf(publicKey)) {
      if (await isSignature(signed, { publicKey, ...algorithm })) return key.name;
    }
  }
  return undefined;
}
