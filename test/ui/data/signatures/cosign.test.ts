import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import { checkSimpleSigning } from '../../../../lib/ui/data/signatures/cosign.ts';
import type { TrustedKey } from '../../../../lib/ui/data/signatures/trusted-keys.ts';
import { IMAGE_DIGEST, readFixture, resultOf, trusting } from './fixture.ts';

const PAYLOAD = readFixture('cosign.payload');
const { layers } = JSON.parse(readFixture('cosign.manifest').toString());
const ANNOTATIONS: Record<string, string> = layers[0].annotations;
const SIGNATURE = 'dev.cosignproject.cosign/signature';

describe('a signature of cosign', () => {
  const verified = trusting('cosign.pub');

  it('is verified by the key that made it, and shows what it signs', async () => {
    const checked = await checkSimpleSigning(PAYLOAD, ANNOTATIONS, verified);
    assert.deepEqual(checked, {
      signer: 'cosign.pub',
      claims: {
        format: 'cosign',
        digests: [IMAGE_DIGEST],
        reference: 'localhost:5377/team/api',
        annotations: [['who', 'bob']],
        beside: {},
      },
    });
  });

  it('is not verified without a key, by another key, or by a certificate', async () => {
    const by = async (...names: string[]) =>
      resultOf(await checkSimpleSigning(PAYLOAD, ANNOTATIONS, trusting(...names)));
    assert.equal(await by(), 'noKeys');
    assert.equal(await by('ec-leaf'), 'noKeys');
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const other: TrustedKey = { name: 'other', isFor: () => true, publicKey };
    assert.equal(resultOf(await checkSimpleSigning(PAYLOAD, ANNOTATIONS, trusting(other))), 'untrusted');
    assert.equal(
      resultOf(await checkSimpleSigning(PAYLOAD, ANNOTATIONS, trusting(other, 'cosign.pub'))),
      'verified by cosign.pub',
    );
  });

  it('is not verified on the page of another manifest', async () => {
    const digest = `sha256:${'0'.repeat(64)}` as typeof IMAGE_DIGEST;
    const elsewhere = { ...verified, subject: { ...verified.subject, digest } };
    assert.equal(resultOf(await checkSimpleSigning(PAYLOAD, ANNOTATIONS, elsewhere)), 'otherDigest');
  });

  it('is not verified over other bytes, however small the difference', async () => {
    for (const text of [`${PAYLOAD} `, PAYLOAD.toString().replace('bob', 'eve')]) {
      assert.equal(resultOf(await checkSimpleSigning(Buffer.from(text), ANNOTATIONS, verified)), 'untrusted');
    }
  });

  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const own: TrustedKey = { name: 'own', isFor: () => true, publicKey };
  const signed = (payload: string, key: KeyObject = privateKey) => ({
    [SIGNATURE]: sign('sha256', Buffer.from(payload), key).toString('base64'),
  });
  const payloadOf = (critical: object) => JSON.stringify({ critical, optional: null });
  const image = { 'docker-manifest-digest': IMAGE_DIGEST };

  it('is not verified if its payload is of another type, however it is signed', async () => {
    for (const [payload, problem] of [
      [payloadOf({ type: 'atomic container signature', image }), 'otherType'],
      [payloadOf({ image }), 'otherType'],
      [payloadOf({ type: 'cosign container image signature' }), 'otherDigest'],
      [payloadOf({ type: 'cosign container image signature', image: [IMAGE_DIGEST] }), 'otherDigest'],
      ['{"critical":[]}', 'unreadable'],
      ['[]', 'unreadable'],
      ['', 'unreadable'],
      ['{"critical":'.repeat(500), 'unreadable'],
      [payloadOf({ type: 'cosign container image signature', image }), 'verified by own'],
    ] as const) {
      assert.equal(resultOf(await checkSimpleSigning(Buffer.from(payload), signed(payload), trusting(own))), problem);
    }
  });

  it('is not verified if its payload names a field twice', async () => {
    const right = payloadOf({ type: 'cosign container image signature', image });
    const twice = right.replace('"critical":', `"critical":{"image":{}},"\\u0063ritical":`);
    assert.deepEqual(Object.keys(JSON.parse(twice)), ['critical', 'optional']);
    assert.equal(resultOf(await checkSimpleSigning(Buffer.from(twice), signed(twice), trusting(own))), 'unreadable');
  });

  it('is not verified if the annotation is missing or no signature', async () => {
    const [text = ''] = Object.values(ANNOTATIONS);
    for (const [annotations, problem] of [
      [{}, 'unreadable'],
      [{ [SIGNATURE]: '' }, 'unreadable'],
      [{ [SIGNATURE]: `${text} ` }, 'unreadable'],
      [{ [SIGNATURE]: 'AAAA' }, 'untrusted'],
      [{ [SIGNATURE]: text.slice(4) }, 'untrusted'],
      [{ [SIGNATURE]: 'A'.repeat(100_000) }, 'untrusted'],
    ] as const) {
      assert.equal(resultOf(await checkSimpleSigning(PAYLOAD, annotations, verified)), problem);
    }
  });

  it('shows the certificate and the log beside it as claims, also where a trusted key signed it', async () => {
    const keyless = readFixture('chains/keyless.pem').toString();
    const beside = {
      'dev.sigstore.cosign/certificate': keyless,
      'dev.sigstore.cosign/bundle': JSON.stringify({ Payload: { integratedTime: 1_700_000_000 } }),
    };
    const foreign = await checkSimpleSigning(PAYLOAD, { ...ANNOTATIONS, ...beside }, trusting());
    assert.equal(resultOf(foreign), 'keyless');
    assert.deepEqual(foreign.claims.beside, {
      loggedAt: new Date('2023-11-14T22:13:20Z'),
      certificate: {
        subject: 'CN=keyless',
        identity: 'email:alice@example.com',
        identityProvider: 'https://issuer.example',
        issuer: 'CN=test root',
        validFrom: new Date('2020-01-01T00:00:00Z'),
        validTo: new Date('2120-01-01T00:00:00Z'),
      },
    });
    const ours = await checkSimpleSigning(PAYLOAD, { ...ANNOTATIONS, ...beside }, verified);
    assert.equal(resultOf(ours), 'verified by cosign.pub');
    assert.equal(ours.claims.certificate, undefined, 'the key vouches for no certificate');
  });

  it('is verified with each kind of key, by the hashes and paddings that signers use', async () => {
    const payload = payloadOf({ type: 'cosign container image signature', image });
    const bytes = Buffer.from(payload);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const [p384, p521] = ['P-384', 'P-521'].map((namedCurve) => generateKeyPairSync('ec', { namedCurve }));
    const ed25519 = generateKeyPairSync('ed25519');
    const pss = { key: rsa.privateKey, padding: 6, saltLength: 32 };
    assert.ok(p384 && p521);
    for (const [pair, signature, result] of [
      [rsa, sign('sha256', bytes, rsa.privateKey), 'verified by own'],
      [rsa, sign('sha256', bytes, pss), 'verified by own'],
      [rsa, sign('sha1', bytes, rsa.privateKey), 'untrusted'],
      [p384, sign('sha384', bytes, p384.privateKey), 'verified by own'],
      [p384, sign('sha256', bytes, p384.privateKey), 'verified by own'],
      [p384, sign('sha1', bytes, p384.privateKey), 'untrusted'],
      [p521, sign('sha512', bytes, p521.privateKey), 'verified by own'],
      [ed25519, sign(null, bytes, ed25519.privateKey), 'verified by own'],
    ] as const) {
      const key: TrustedKey = { name: 'own', isFor: () => true, publicKey: pair.publicKey };
      const annotations = { [SIGNATURE]: signature.toString('base64') };
      assert.equal(resultOf(await checkSimpleSigning(bytes, annotations, trusting(key))), result);
    }
  });
});
