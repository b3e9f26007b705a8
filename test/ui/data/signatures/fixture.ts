// Signatures of test/ui/data/signatures/fixtures, made by cosign 3.1.3 and notation 1.3.2 over image.manifest; those in COSE with
// `--signature-format cose`. The certificates of `chains` are valid from 2020 to 2120 unless their name says otherwise;
// `signer.key.pem` is the key of those for signers.
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseDigest, parseRepositoryName } from '../../../../lib/model/names.ts';
import type { Trust } from '../../../../lib/ui/data/signatures/signature.ts';
import { parseTrustedKey, type TrustedKey } from '../../../../lib/ui/data/signatures/trusted-keys.ts';

export const readFixture = (name: string): Buffer => readFileSync(new URL(`fixtures/${name}`, import.meta.url));

export const IMAGE = readFixture('image.manifest');
export const IMAGE_DIGEST = parseDigest(`sha256:${createHash('sha256').update(IMAGE).digest('hex')}`);
export const REPOSITORY = parseRepositoryName('team/api');

/** A key for all repositories, called by its file. */
export function trustedKey(name: string): TrustedKey {
  return { name, isFor: () => true, ...parseTrustedKey(readFixture(`${name}.pem`).toString()) };
}

/** @param names of fixtures, or keys */
export function trusting(...keys: (string | TrustedKey)[]): Trust {
  return {
    subject: { digest: IMAGE_DIGEST, bytes: IMAGE },
    keys: keys.map((key) => (typeof key === 'string' ? trustedKey(key) : key)),
    now: new Date('2027-01-01T00:00:00Z'),
  };
}

export const certificate = (name: string): X509Certificate => new X509Certificate(readFixture(`chains/${name}.pem`));
export const privateKey = (name: string): KeyObject => createPrivateKey(readFixture(`chains/${name}.key.pem`));

/** What is shown as the result: `verified by NAME`, or the problem. */
export const resultOf = (checked: { signer: string } | { problem: string }): string =>
  'signer' in checked ? `verified by ${checked.signer}` : checked.problem;
