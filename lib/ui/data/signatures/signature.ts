// What the formats of signatures have in common.
import { hasUniqueNames, isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../../model/json.ts';
import type { Digest } from '../../../model/names.ts';
import type { CertificateClaims } from './certificates.ts';
import type { TrustedKey } from './trusted-keys.ts';

/** What a signature is checked against. */
export type Trust = {
  /** The manifest on whose page it is shown, and its bytes. */
  subject: { digest: Digest; bytes: Uint8Array };
  /** The keys for this repository. */
  keys: readonly TrustedKey[];
  now: Date;
};

/** What a signature says. Unless it is verified, every caller who may push can have made it up. */
export type Claims = {
  format: 'cosign' | 'bundle' | 'attestation' | 'notation' | 'unknown';
  /** What it says to have signed. */
  digests: string[];
  /** `docker-reference` of cosign. */
  reference?: string;
  predicateType?: string;
  annotations: [string, string][];
  signedAt?: Date;
  expiresAt?: Date;
  /** Of the signer; part of what is verified. */
  certificate?: CertificateClaims;
  /** What stands beside the signature. No key signs it, so it is a claim even where the signature is verified. */
  beside?: Beside;
};

export type Beside = { loggedAt?: Date; certificate?: CertificateClaims };

/** Why a signature is not verified. */
export type Problem =
  | 'unreadable'
  | 'tooLarge'
  | 'otherType'
  | 'otherDigest'
  | 'noKeys'
  | 'untrusted'
  | 'keyless'
  | 'expired'
  | 'invalidChain'
  | 'wrongSignature'
  | 'unknownScheme'
  | 'unavailable';

/** `signer` is the name of the trusted key that made the signature; with a `problem` the signature is not verified. */
export type CheckedSignature = { claims: Claims } & ({ signer: string } | { problem: Problem });

/** Keys, certificates and payloads; SBOMs that are signed as a whole are larger. */
const MAX_VALUES = 150_000;

/** A signature of which nothing is known. */
export function unknownSignature(problem: Problem, format: Claims['format'] = 'unknown'): CheckedSignature {
  return { claims: { format, digests: [], annotations: [] }, problem };
}

/** A JSON object; `undefined` for anything else, and where a name is repeated: other programs may then read another value. */
export function parseStrictly(bytes: Uint8Array): JsonObject | undefined {
  const value = parseJson(bytes, { maxValues: MAX_VALUES });
  return isJsonObject(value) && hasUniqueNames(bytes, value) ? value : undefined;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const BASE64_URL = /^[A-Za-z0-9_-]+$/;

/** `undefined` for what is no base64. */
export function base64Of(value: JsonValue | undefined, alphabet: 'plain' | 'url' = 'plain'): Buffer | undefined {
  const pattern = alphabet === 'url' ? BASE64_URL : BASE64;
  if (typeof value !== 'string' || !pattern.test(value)) return undefined;
  return Buffer.from(value, alphabet === 'url' ? 'base64url' : 'base64');
}

export function objectIn(value: JsonObject | undefined, name: string): JsonObject | undefined {
  const found = value?.[name];
  return isJsonObject(found) ? found : undefined;
}

export function textIn(value: JsonObject | undefined, name: string): string | undefined {
  const found = value?.[name];
  return typeof found === 'string' ? found : undefined;
}

/** Names and values of a map; values that are no text as JSON. */
export function pairsOf(value: JsonObject | undefined): [string, string][] {
  return Object.entries(value ?? {}).map(([name, item]) => [
    name,
    typeof item === 'string' ? item : JSON.stringify(item),
  ]);
}

/** A time in RFC 3339, or in seconds of Unix time as protobuf writes them. `undefined` for anything else. */
export function timeOf(value: JsonValue | undefined): Date | undefined {
  const seconds = typeof value === 'number' || (typeof value === 'string' && /^\d{1,11}$/.test(value));
  if (!seconds && !(typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value))) return undefined;
  const at = new Date(seconds ? Number(value) * 1000 : String(value));
  return Number.isNaN(at.getTime()) ? undefined : at;
}
