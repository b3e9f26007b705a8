import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkNotation } from '../../../../lib/ui/data/signatures/notation.ts';
import { parseCose } from '../../../../lib/ui/data/signatures/notation-cose.ts';
import { encodeCbor, Raw, Tagged } from './encode-cbor.ts';
import { certificate, readFixture, resultOf, trusting } from './fixture.ts';
import { COSE, EXPIRY, type Made, SCHEME, TIME } from './notation-envelopes.ts';

const root = trusting('chains/root');
const resultFor = async (made: Made, changes = {}) =>
  resultOf(await checkNotation(parseCose(COSE.make(made, changes)), root));
const raw = (name: string) => certificate(name).raw;

describe('an envelope of notation in COSE', () => {
  it('is not verified with a bit changed, except in the name of the program that signed, which nothing reads', async () => {
    const bytes = readFixture('notation-ec.cose');
    const trust = trusting('ec-root');
    assert.equal(resultOf(await checkNotation(parseCose(bytes), trust)), 'verified by ec-root');
    const agent = encodeCbor('io.cncf.notary.signingAgent');
    const payload = encodeCbor(parseCose(bytes)?.payload);
    const [agentStart, agentEnd] = [bytes.indexOf(agent), bytes.indexOf(payload)];
    assert.ok(agentStart > 0 && agentEnd > agentStart);
    for (let at = 0; at < bytes.length; at++) {
      if (at >= agentStart && at < agentEnd) continue;
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      const result = resultOf(await checkNotation(parseCose(changed), trust));
      assert.doesNotMatch(result, /^verified/, `byte ${at}`);
    }
  });

  it('is verified with each algorithm that the specification allows', async () => {
    for (const [name, algorithm, key] of [
      ['ec', 'ES256', 'ec-root'],
      ['p384', 'ES384', 'cose-root'],
      ['p521', 'ES512', 'cose-root'],
      ['rsa', 'PS256', 'rsa-root'],
      ['r3072', 'PS384', 'cose-root'],
      ['r4096', 'PS512', 'cose-root'],
    ] as const) {
      const envelope = parseCose(readFixture(`notation-${name}.cose`));
      assert.equal(envelope?.header.alg, algorithm);
      assert.equal(resultOf(await checkNotation(envelope, trusting(key))), `verified by ${key}`);
    }
  });

  it('names its algorithm by the number that the specification gives it', () => {
    for (const [label, name] of [
      [-7, 'ES256'],
      [-35, 'ES384'],
      [-36, 'ES512'],
      [-37, 'PS256'],
      [-38, 'PS384'],
      [-39, 'PS512'],
      [-8, null], // EdDSA
      [-257, null], // RSA with PKCS 1
      [5, null], // HMAC
      ['ES256', null],
    ] as const) {
      const protectedHeader = encodeCbor(new Map([[1, label]]));
      assert.equal(parseCose(COSE.make({}, { protected: protectedHeader }))?.header.alg, name, String(label));
    }
  });

  it('signs the structure of RFC 9052, with headers and payloads of any length', () => {
    const headerOf = (length: number) => encodeCbor(new Map([[0, Buffer.alloc(length)]]));
    for (const length of [0, 19, 20, 21, 23, 24, 250, 255, 256, 65_535, 65_536, 1_000_000]) {
      const [header, payload] = [headerOf(length), Buffer.alloc(length, 'x')];
      const made = COSE.make({}, { protected: header, payload });
      const structure = encodeCbor(['Signature1', header, Buffer.alloc(0), payload]);
      assert.ok(structure.equals(parseCose(made)?.bytes ?? Buffer.alloc(0)), String(length));
    }
  });

  it('may have its chain among the protected headers, and has none in two places', async () => {
    const chain = ['good', 'inter', 'root'].map(raw);
    const header = new Map<unknown, unknown>([
      [1, -7],
      [2, [SCHEME]],
      [3, 'application/vnd.cncf.notary.payload.v1+json'],
      [SCHEME, 'notary.x509'],
      [TIME, new Tagged(1, 1_780_000_000)],
      [33, chain],
    ]);
    const protectedHeader = encodeCbor(header);
    assert.equal(
      await resultFor({}, { protected: protectedHeader, unprotected: new Map() }),
      'verified by chains/root',
    );
    assert.equal(await resultFor({}, { protected: protectedHeader }), 'unreadable');
  });

  it('is not verified with a header that is both protected and not', async () => {
    const chain = ['good', 'inter', 'root'].map(raw);
    for (const [label, value] of [
      [1, -7],
      [SCHEME, 'notary.x509'],
      [TIME, 0],
    ] as const) {
      const unprotected = new Map<unknown, unknown>([
        [33, chain],
        [label, value],
      ]);
      assert.equal(await resultFor({}, { unprotected }), 'unreadable');
    }
    const unprotected = new Map<unknown, unknown>([
      [33, chain],
      [EXPIRY, new Tagged(1, 0)],
      ['io.cncf.notary.timestampSignature', Buffer.of(0)],
    ]);
    assert.equal(await resultFor({}, { unprotected }), 'verified by chains/root', 'others are not read');
  });

  it('has times in seconds, with the tag of such times', async () => {
    const seconds = Date.parse('2026-06-01T00:00:00Z') / 1000;
    assert.equal(await resultFor({ header: { [TIME]: new Tagged(1, seconds) } }), 'verified by chains/root');
    const half = Buffer.alloc(9, 0xfb);
    half.writeDoubleBE(seconds + 0.5, 1);
    const fraction = new Tagged(1, new Raw(half.toString('hex')));
    assert.equal(await resultFor({ header: { [TIME]: fraction } }), 'verified by chains/root');
    for (const time of [
      seconds,
      new Tagged(0, '2026-06-01T00:00:00Z'),
      new Tagged(1, '2026-06-01T00:00:00Z'),
      new Tagged(1, String(seconds)),
      new Tagged(1, Number.MAX_SAFE_INTEGER),
      new Tagged(1, new Raw('fb7ff8000000000000')), // not a number
      new Tagged(1, new Tagged(1, seconds)),
      null,
    ]) {
      assert.equal(await resultFor({ header: { [TIME]: time } }), 'unknownScheme');
      assert.equal(await resultFor({ header: { crit: [SCHEME, EXPIRY], [EXPIRY]: time } }), 'expired');
    }
  });

  it('of any other form is not read', () => {
    const bytes = COSE.make();
    assert.ok(parseCose(bytes));
    for (const changes of [
      { protected: Buffer.alloc(0) },
      { protected: Buffer.of(0x80) },
      { protected: Buffer.from('a201260126', 'hex') },
      { protected: Buffer.from('a1012600', 'hex') },
      { protected: new Map() },
      { unprotected: [] },
      { unprotected: new Map() },
      { unprotected: new Map([[33, raw('good')]]) },
      { unprotected: new Map([[33, [raw('good').toString('base64')]]]) },
      { unprotected: new Map([['33', [raw('good')]]]) },
      { unprotected: new Raw(`a2182181${encodeCbor(raw('good')).toString('hex')}182180`) },
      { payload: null },
      { payload: '{}' },
      { signature: null },
      { signature: 'x' },
    ]) {
      assert.equal(parseCose(COSE.make({}, changes)), undefined, JSON.stringify(changes).slice(0, 100));
    }
    const untagged = bytes.subarray(1);
    const five = Buffer.concat([Buffer.of(0xd2, 0x85), bytes.subarray(2), Buffer.of(0)]);
    for (const other of [
      untagged,
      Buffer.concat([Buffer.of(0xd8, 98), untagged]), // the tag of COSE_Sign
      Buffer.concat([Buffer.of(0xd2), bytes]),
      Buffer.concat([bytes, Buffer.of(0)]),
      Buffer.from('d283404040', 'hex'),
      five,
      Buffer.from('{}'),
      Buffer.alloc(0),
      Buffer.alloc(1_000_000, 0xd2),
      Buffer.alloc(1_000_000, 0x81),
    ]) {
      assert.equal(parseCose(other), undefined, other.toString('hex').slice(0, 100));
    }
  });
});
