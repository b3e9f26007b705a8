import assert from 'node:assert/strict';
import { type KeyObject, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import { checkNotation } from '../../../../lib/ui/data/signatures/notation.ts';
import type { Trust } from '../../../../lib/ui/data/signatures/signature.ts';
import { certificate, IMAGE_DIGEST, privateKey, readFixture, resultOf, trusting } from './fixture.ts';

const PAYLOAD_TYPE = 'application/vnd.cncf.notary.payload.v1+json';
const SCHEME = 'io.cncf.notary.signingScheme';
const TIME = 'io.cncf.notary.signingTime';
const EXPIRY = 'io.cncf.notary.expiry';

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

type Made = { chain?: string[]; header?: object; target?: unknown; key?: KeyObject; changes?: object };

/** An envelope, signed by the key of the certificates for signers. */
function envelope({ chain = ['good', 'inter', 'root'], header = {}, target, key, changes = {} }: Made = {}): Buffer {
  const protectedHeader = encode({
    alg: 'ES256',
    crit: [SCHEME],
    cty: PAYLOAD_TYPE,
    [SCHEME]: 'notary.x509',
    [TIME]: '2026-06-01T00:00:00Z',
    ...header,
  });
  const payload = encode({ targetArtifact: target ?? { digest: IMAGE_DIGEST, mediaType: 'x', size: 1 } });
  const signer = { key: key ?? privateKey('signer'), dsaEncoding: 'ieee-p1363' as const };
  return Buffer.from(
    JSON.stringify({
      payload,
      protected: protectedHeader,
      header: { x5c: chain.map((name) => certificate(name).raw.toString('base64')) },
      signature: sign('sha256', Buffer.from(`${protectedHeader}.${payload}`), signer).toString('base64url'),
      ...changes,
    }),
  );
}

const root: Trust = trusting('chains/root');
const resultFor = async (made: Made, trust = root) => resultOf(await checkNotation(envelope(made), trust));

describe('a signature of notation', () => {
  it('is verified by the root of its chain, the certificate between, and that of the signer', async () => {
    for (const name of ['ec-root', 'ec-inter', 'ec-leaf']) {
      const checked = await checkNotation(readFixture('notation-ec.jws'), trusting(name));
      assert.equal(resultOf(checked), `verified by ${name}`);
    }
    for (const name of ['rsa-root', 'rsa-leaf']) {
      const checked = await checkNotation(readFixture('notation-rsa.jws'), trusting('ec-root', name));
      assert.equal(resultOf(checked), `verified by ${name}`);
    }
  });

  it('shows what it signs, when, and with which certificate', async () => {
    const { claims } = await checkNotation(readFixture('notation-ec.jws'), trusting('ec-root'));
    assert.deepEqual(claims, {
      format: 'notation',
      digests: [IMAGE_DIGEST],
      annotations: [['who', 'alice']],
      signedAt: new Date('2026-11-27T18:55:32Z'),
      certificate: {
        subject: 'C=US, ST=WA, O=Example, CN=ec signer',
        issuer: 'C=US, ST=WA, O=Example, CN=ec intermediate',
        validFrom: new Date('2026-11-27T18:55:29Z'),
        validTo: new Date('2126-11-03T18:55:29Z'),
      },
    });
  });

  it('is not verified by another certificate, or by a public key', async () => {
    const bytes = readFixture('notation-ec.jws');
    for (const [trust, problem] of [
      [trusting(), 'noKeys'],
      [trusting('cosign.pub'), 'noKeys'],
      [trusting('rsa-root', 'rsa-leaf'), 'untrusted'],
    ] as const) {
      assert.equal(resultOf(await checkNotation(bytes, trust)), problem);
    }
  });

  it('is verified by what these tests make, as far as it is right', async () => {
    assert.equal(await resultFor({}), 'verified by chains/root');
    assert.equal(await resultFor({ chain: ['direct', 'root'] }), 'verified by chains/root');
    assert.equal(
      await resultFor({ header: { crit: [SCHEME, EXPIRY], [EXPIRY]: '2027-06-01T00:00:00Z' } }),
      'verified by chains/root',
    );
  });

  const chains: [string, string[], string][] = [
    ['a certificate that has expired', ['expired', 'root'], 'expired'],
    ['a certificate that is not valid yet', ['future', 'root'], 'expired'],
    ['a certificate for TLS servers', ['tls', 'root'], 'invalidChain'],
    ['a certificate that may not sign', ['nousage', 'root'], 'invalidChain'],
    ['a certificate with an unknown critical extension', ['odd', 'root'], 'invalidChain'],
    ['a certificate that is a CA itself', ['caleaf', 'root'], 'invalidChain'],
    ['a certificate that was signed by SHA-1', ['sha1', 'root'], 'invalidChain'],
    ['a certificate of another CA with the same name', ['byother', 'root'], 'invalidChain'],
    ['a certificate by the key of the root, which names another issuer', ['byname', 'root'], 'invalidChain'],
    ['a certificate for TLS clients', ['client', 'root'], 'invalidChain'],
    ['a certificate whose issuer is no CA', ['bynotca', 'notca', 'root'], 'invalidChain'],
    ['a certificate whose issuer may not issue any', ['bynousageca', 'nousageca', 'root'], 'invalidChain'],
    ['a certificate whose issuer has a short key', ['byweak', 'weak', 'root'], 'invalidChain'],
    ['more certificates than the root allows', ['deep', 'inter2', 'inter', 'root'], 'invalidChain'],
    ['a missing certificate', ['good', 'root'], 'invalidChain'],
    ['certificates in another order', ['inter', 'good', 'root'], 'invalidChain'],
    ['the root alone', ['root'], 'invalidChain'],
    ['no root', ['good', 'inter'], 'untrusted'],
    ['no certificate', [], 'unreadable'],
    ['seven certificates', ['good', 'inter', 'root', 'root', 'root', 'root', 'root'], 'unreadable'],
  ];
  for (const [what, chain, problem] of chains) {
    it(`is not verified with ${what}`, async () => {
      assert.equal(await resultFor({ chain }), problem);
    });
  }

  it('is not verified with a certificate that one for signers issued', async () => {
    const made = { chain: ['byleaf', 'direct', 'root'], key: privateKey('inter2') };
    assert.equal(await resultFor(made), 'invalidChain');
  });

  it('is verified by the certificate of a signer alone, while that is valid', async () => {
    assert.equal(await resultFor({ chain: ['direct'] }, trusting('chains/direct')), 'verified by chains/direct');
    assert.equal(await resultFor({ chain: ['expired'] }, trusting('chains/expired')), 'expired');
  });

  it('is not verified where a time of signing is claimed at which an expired certificate was valid', async () => {
    const header = { [TIME]: '2020-06-01T00:00:00Z' };
    assert.equal(await resultFor({ chain: ['expired', 'root'], header }), 'expired');
    const then = { ...root, now: new Date('2020-07-01T00:00:00Z') };
    assert.equal(await resultFor({ chain: ['expired', 'root'], header }, then), 'verified by chains/root');
    assert.equal(await resultFor({ chain: ['expired', 'root'] }, then), 'expired', 'signed after it has expired');
  });

  const headers: [object, string][] = [
    [{ cty: 'application/json' }, 'otherType'],
    [{ [SCHEME]: 'notary.x509.signingAuthority' }, 'unknownScheme'],
    [{ crit: [] }, 'unknownScheme'],
    [{ crit: undefined }, 'unknownScheme'],
    [{ crit: [SCHEME, 'io.cncf.notary.verificationPlugin'] }, 'unknownScheme'],
    [{ [TIME]: undefined }, 'unknownScheme'],
    [{ [TIME]: 'yesterday' }, 'unknownScheme'],
    [{ [EXPIRY]: '2026-12-31T00:00:00Z' }, 'expired'],
    [{ [EXPIRY]: 'never' }, 'expired'],
    [{ alg: 'ES384' }, 'wrongSignature'],
    [{ alg: 'PS256' }, 'wrongSignature'],
    [{ alg: 'none' }, 'wrongSignature'],
    [{ alg: 'HS256' }, 'wrongSignature'],
    [{ alg: undefined }, 'wrongSignature'],
    [{ alg: 'constructor' }, 'wrongSignature'],
  ];
  for (const [header, problem] of headers) {
    it(`is not verified with the header ${JSON.stringify(header)}`, async () => {
      assert.equal(await resultFor({ header }), problem);
    });
  }

  it('is not verified for another manifest, or by another key than the certificate has', async () => {
    assert.equal(await resultFor({ target: { digest: `sha256:${'0'.repeat(64)}` } }), 'otherDigest');
    assert.equal(await resultFor({ target: {} }), 'otherDigest');
    assert.equal(await resultFor({ key: privateKey('inter2') }), 'wrongSignature');
    const right = JSON.parse(envelope().toString());
    const payload = encode({ targetArtifact: { digest: IMAGE_DIGEST, annotations: { added: 'later' } } });
    for (const changes of [{ payload }, { signature: right.signature.slice(0, 40) }, { signature: 'AAAA' }]) {
      assert.equal(await resultFor({ changes }), 'wrongSignature');
    }
  });

  it('of any other form is not read', async () => {
    for (const changes of [
      { payload: '!' },
      { payload: encode('[]') },
      { payload: encode({ targetArtifact: [] }) },
      { payload: encode('{"targetArtifact":{},"targetArtifact":{}}') },
      { protected: encode('{"alg":"ES256","alg":"none"}') },
      { protected: 7 },
      { signature: null },
      { header: null },
      { header: { x5c: 'x' } },
      { header: { x5c: [null] } },
      { header: { x5c: ['AAAA'] } },
      { header: { x5c: ['A'.repeat(100_000)] } },
    ]) {
      assert.equal(await resultFor({ changes }), 'unreadable', JSON.stringify(changes).slice(0, 100));
    }
    for (const text of ['', 'null', '[]', '{}', '{"payload":"","payload":""}']) {
      assert.equal(resultOf(await checkNotation(Buffer.from(text), root)), 'unreadable');
    }
  });
});
