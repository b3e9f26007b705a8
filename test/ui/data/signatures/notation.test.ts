import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkNotation } from '../../../../lib/ui/data/signatures/notation.ts';
import { IMAGE_DIGEST, privateKey, readFixture, resultOf, trusting } from './fixture.ts';
import { COSE, EXPIRY, type Form, JWS, type Made, SCHEME, TIME } from './notation-envelopes.ts';

const root = trusting('chains/root');

for (const form of [JWS, COSE]) describe(`a signature of notation in ${form.name}`, () => testForm(form));

function testForm({ name: formName, make, parse }: Form): void {
  const fixture = (name: string) => parse(readFixture(`${name}.${formName.toLowerCase()}`));
  const resultFor = async (made: Made, trust = root, changes = {}) =>
    resultOf(await checkNotation(parse(make(made, changes)), trust));

  it('is verified by the root of its chain, the certificate between, and that of the signer', async () => {
    for (const name of ['ec-root', 'ec-inter', 'ec-leaf']) {
      const checked = await checkNotation(fixture('notation-ec'), trusting(name));
      assert.equal(resultOf(checked), `verified by ${name}`);
    }
    for (const name of ['rsa-root', 'rsa-leaf']) {
      const checked = await checkNotation(fixture('notation-rsa'), trusting('ec-root', name));
      assert.equal(resultOf(checked), `verified by ${name}`);
    }
  });

  it('shows what it signs, when, and with which certificate', async () => {
    const { claims } = await checkNotation(fixture('notation-ec'), trusting('ec-root'));
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
    for (const [trust, problem] of [
      [trusting(), 'noKeys'],
      [trusting('cosign.pub'), 'noKeys'],
      [trusting('rsa-root', 'rsa-leaf'), 'untrusted'],
    ] as const) {
      assert.equal(resultOf(await checkNotation(fixture('notation-ec'), trust)), problem);
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

  const headers: [Record<string, unknown>, string][] = [
    [{ cty: 'application/json' }, 'otherType'],
    [{ cty: undefined }, 'otherType'],
    [{ [SCHEME]: 'notary.x509.signingAuthority' }, 'unknownScheme'],
    [{ crit: [] }, 'unknownScheme'],
    [{ crit: undefined }, 'unknownScheme'],
    [{ crit: [SCHEME, 'io.cncf.notary.verificationPlugin'] }, 'unknownScheme'],
    [{ crit: [SCHEME, EXPIRY] }, 'unknownScheme'],
    [{ crit: [SCHEME, 7] }, 'unknownScheme'],
    [{ crit: SCHEME }, 'unknownScheme'],
    [{ [SCHEME]: undefined }, 'unknownScheme'],
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
    it(`is not verified with the header ${JSON.stringify(header, (_, value) => value ?? null)}`, async () => {
      assert.equal(await resultFor({ header }), problem);
    });
  }

  it('is not verified for another manifest, or by another key than the certificate has', async () => {
    assert.equal(await resultFor({ target: { digest: `sha256:${'0'.repeat(64)}` } }), 'otherDigest');
    assert.equal(await resultFor({ target: {} }), 'otherDigest');
    assert.equal(await resultFor({ key: privateKey('inter2') }), 'wrongSignature');
    assert.equal(await resultFor({ hash: 'sha384' }), 'wrongSignature');
    const payload = parse(make({ target: { digest: IMAGE_DIGEST, annotations: { added: 'later' } } }))?.payload;
    const signature = parse(make())?.signature.subarray(0, 30);
    for (const changes of [{ payload }, { signature }, { signature: Buffer.of(0) }]) {
      assert.equal(await resultFor({}, root, changes), 'wrongSignature');
    }
  });

  it('whose payload or certificates cannot be read is not read', async () => {
    for (const text of ['', '[]', '{}', '{"targetArtifact":[]}', '{"targetArtifact":{},"targetArtifact":{}}']) {
      assert.equal(await resultFor({}, root, { payload: Buffer.from(text) }), 'unreadable', text);
    }
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(3), Buffer.alloc(100_000)]) {
      assert.equal(await resultFor({ chain: [bytes] }), 'unreadable');
      assert.equal(await resultFor({ chain: ['good', bytes, 'inter', 'root'] }), 'unreadable');
    }
    assert.equal(resultOf(await checkNotation(undefined, root)), 'unreadable');
  });
}
