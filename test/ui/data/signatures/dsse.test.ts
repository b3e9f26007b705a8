import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import { checkBundle, checkEnvelope } from '../../../../lib/ui/data/signatures/dsse.ts';
import type { TrustedKey } from '../../../../lib/ui/data/signatures/trusted-keys.ts';
import { certificate, IMAGE, IMAGE_DIGEST, readFixture, resultOf, trusting } from './fixture.ts';

const BUNDLE = JSON.parse(readFixture('signature.bundle').toString());
const STATEMENT_TYPE = 'application/vnd.in-toto+json';
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const OWN: TrustedKey = { name: 'own', isFor: () => true, publicKey };

const bytesOf = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const statement = (changes: object = {}) => ({
  _type: 'https://in-toto.io/Statement/v1',
  predicateType: 'https://slsa.dev/provenance/v1',
  subject: [{ name: 'app', digest: { sha256: IMAGE_DIGEST.slice(7) } }],
  predicate: {},
  ...changes,
});
/** An envelope that `OWN` has signed. */
const envelope = (
  payload: unknown,
  { payloadType = STATEMENT_TYPE, signedType }: { payloadType?: string; signedType?: string } = {},
) => {
  const bytes = bytesOf(payload);
  const type = signedType ?? payloadType;
  const signed = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${bytes.length} `), bytes]);
  return {
    payloadType,
    payload: bytes.toString('base64'),
    signatures: [{ sig: sign('sha256', signed, privateKey).toString('base64') }],
  };
};
const bundleOf = (content: object, verificationMaterial: object = { publicKey: { hint: '' } }) => ({
  mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  verificationMaterial,
  ...content,
});

describe('a bundle that cosign made', () => {
  it('is verified by its key: a signature, and a statement', async () => {
    const signature = await checkBundle(readFixture('signature.bundle'), trusting('cosign.pub'));
    assert.equal(resultOf(signature), 'verified by cosign.pub');
    assert.equal(signature.claims.format, 'bundle');
    assert.deepEqual(signature.claims.digests, [IMAGE_DIGEST]);
    assert.deepEqual(signature.claims.annotations, [['who', 'alice']]);
    const attested = await checkBundle(readFixture('attestation.bundle'), trusting('cosign.pub'));
    assert.equal(resultOf(attested), 'verified by cosign.pub');
    assert.equal(attested.claims.format, 'attestation');
    assert.equal(attested.claims.predicateType, 'https://slsa.dev/provenance/v0.2');
  });

  it('is not verified by another key, without one, or on the page of another manifest', async () => {
    const bytes = readFixture('signature.bundle');
    assert.equal(resultOf(await checkBundle(bytes, trusting(OWN))), 'untrusted');
    assert.equal(resultOf(await checkBundle(bytes, trusting())), 'noKeys');
    const digest = `sha256:${'0'.repeat(64)}` as typeof IMAGE_DIGEST;
    const trust = trusting('cosign.pub');
    assert.equal(
      resultOf(await checkBundle(bytes, { ...trust, subject: { ...trust.subject, digest } })),
      'otherDigest',
    );
  });

  it('is not verified with another payload, or the payload under another type', async () => {
    const { dsseEnvelope } = BUNDLE;
    const payload = Buffer.from(dsseEnvelope.payload, 'base64').toString();
    for (const [changes, result] of [
      [{ payload: Buffer.from(payload.replace('alice', 'carol')).toString('base64') }, 'untrusted'],
      [{ payloadType: 'application/json' }, 'otherType'],
      [{ signatures: [] }, 'unreadable'],
      [{ signatures: [{ sig: '!' }] }, 'unreadable'],
      [{ signatures: Array.from({ length: 5 }, () => dsseEnvelope.signatures[0]) }, 'unreadable'],
      [{ payload: '!' }, 'unreadable'],
      [{ payloadType: 7 }, 'unreadable'],
      [{}, 'verified by cosign.pub'],
    ] as const) {
      const changed = { ...BUNDLE, dsseEnvelope: { ...dsseEnvelope, ...changes } };
      assert.equal(
        resultOf(await checkBundle(bytesOf(changed), trusting('cosign.pub'))),
        result,
        JSON.stringify(changes),
      );
    }
  });
});

describe('a signed statement', () => {
  it('that cosign attached by a tag is verified by its key', async () => {
    const checked = await checkEnvelope(readFixture('attestation.dsse'), trusting('cosign.pub'));
    assert.equal(resultOf(checked), 'verified by cosign.pub');
    assert.deepEqual(checked.claims.digests, [IMAGE_DIGEST]);
  });

  it('is verified only if it is a statement about this manifest', async () => {
    const digest = { sha256: '0'.repeat(64) };
    for (const [changes, result] of [
      [{}, 'verified by own'],
      [{ _type: 'https://in-toto.io/Statement/v0.1' }, 'verified by own'],
      [{ _type: 'https://in-toto.io/Link/v1' }, 'otherType'],
      [{ predicateType: 7 }, 'otherType'],
      [{ subject: [{ name: 'app', digest }] }, 'otherDigest'],
      [{ subject: [{ name: 'app', digest: { sha512: IMAGE_DIGEST.slice(7) } }] }, 'otherDigest'],
      [{ subject: [{ name: IMAGE_DIGEST }] }, 'otherDigest'],
      [{ subject: IMAGE_DIGEST }, 'otherDigest'],
      [{ subject: [] }, 'otherDigest'],
      [{ subject: [{ digest }, { digest: { sha256: IMAGE_DIGEST.slice(7) } }] }, 'verified by own'],
    ] as const) {
      const checked = await checkEnvelope(bytesOf(envelope(statement(changes))), trusting(OWN));
      assert.equal(resultOf(checked), result, JSON.stringify(changes));
    }
  });

  it('is not verified if what is signed says another type than the envelope', async () => {
    const signedType = 'application/json';
    assert.equal(
      resultOf(await checkEnvelope(bytesOf(envelope(statement(), { signedType })), trusting(OWN))),
      'untrusted',
    );
    const other = envelope(statement(), { payloadType: 'application/json' });
    assert.equal(resultOf(await checkEnvelope(bytesOf(other), trusting(OWN))), 'otherType');
  });

  it('is not read if it or its envelope names a field twice, or is no JSON object', async () => {
    const twice = JSON.stringify(statement()).replace('"subject":', '"subject":[],"subject":');
    const right = JSON.stringify(envelope(statement()));
    for (const text of [
      JSON.stringify(envelope(twice)),
      right.replace('"payloadType":', '"payloadType":"x","payloadType":'),
      JSON.stringify(envelope('[]')),
      JSON.stringify(envelope('')),
      '[]',
      'null',
      '',
      '{"payload":1,"signatures":{}}',
    ]) {
      assert.equal(resultOf(await checkEnvelope(bytesOf(text), trusting(OWN))), 'unreadable', text);
    }
  });
});

describe('a bundle', () => {
  const message = (digest: Buffer, algorithm = 'SHA2_256') => ({
    messageSignature: {
      messageDigest: { algorithm, digest: digest.toString('base64') },
      signature: sign('sha256', IMAGE, privateKey).toString('base64'),
    },
  });
  const hash = Buffer.from(IMAGE_DIGEST.slice(7), 'hex');

  it('may sign the manifest itself', async () => {
    for (const [content, result] of [
      [message(hash), 'verified by own'],
      [message(hash, 'SHA2_512'), 'otherDigest'],
      [message(Buffer.alloc(32)), 'otherDigest'],
      [{ messageSignature: { signature: 'AAAA' } }, 'otherDigest'],
      [{ messageSignature: {} }, 'unreadable'],
      [{}, 'unreadable'],
      [{ ...message(hash), dsseEnvelope: envelope(statement()) }, 'unreadable'],
      [{ ...message(hash), mediaType: 'application/json' }, 'unreadable'],
    ] as const) {
      assert.equal(resultOf(await checkBundle(bytesOf(bundleOf(content)), trusting(OWN))), result);
    }
    const trust = trusting(OWN);
    const subject = { ...trust.subject, bytes: Buffer.from(`${IMAGE} `) };
    assert.equal(resultOf(await checkBundle(bytesOf(bundleOf(message(hash))), { ...trust, subject })), 'untrusted');
  });

  it('with a certificate says whom it names, and is not verified by that', async () => {
    const rawBytes = certificate('keyless').raw.toString('base64');
    for (const material of [
      { certificate: { rawBytes } },
      { x509CertificateChain: { certificates: [{ rawBytes }] } },
    ]) {
      const tlogEntries = [{ integratedTime: '1700000000' }];
      const text = bytesOf(bundleOf(message(hash), { ...material, tlogEntries }));
      const { publicKey: other } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const checked = await checkBundle(text, trusting({ name: 'other', isFor: () => true, publicKey: other }));
      assert.equal(resultOf(checked), 'keyless');
      assert.equal(checked.claims.beside?.certificate?.identity, 'email:alice@example.com');
      assert.deepEqual(checked.claims.beside?.loggedAt, new Date('2023-11-14T22:13:20Z'));
    }
  });

  it('of any form gives a text, and never fails', async () => {
    for (const text of [
      '{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1","verificationMaterial":[]}',
      JSON.stringify(bundleOf({ dsseEnvelope: [] })),
      JSON.stringify(bundleOf({ dsseEnvelope: { payload: {}, signatures: [null] } })),
      JSON.stringify(bundleOf(message(hash), { certificate: { rawBytes: 'AAAA' }, tlogEntries: [null] })),
      JSON.stringify(bundleOf(message(hash), { x509CertificateChain: { certificates: [] } })),
    ]) {
      assert.ok(resultOf(await checkBundle(bytesOf(text), trusting())).length > 0);
    }
  });
});
