import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type CborValue, parseCbor, taggedValue } from '../../../../lib/ui/data/signatures/cbor.ts';
import { encodeCbor, Tagged } from './encode-cbor.ts';
import { readFixture } from './fixture.ts';

const parseHex = (hex: string) => parseCbor(Buffer.from(hex, 'hex'));

/** Examples of https://www.rfc-editor.org/rfc/rfc8949#appendix-A */
const EXAMPLES: [string, CborValue][] = [
  ['00', 0],
  ['17', 23],
  ['1818', 24],
  ['1903e8', 1000],
  ['1a000f4240', 1_000_000],
  ['1b000000e8d4a51000', 1_000_000_000_000],
  ['20', -1],
  ['3863', -100],
  ['3903e7', -1000],
  ['fa47c35000', 100_000],
  ['fb3ff199999999999a', 1.1],
  ['f4', false],
  ['f5', true],
  ['f6', null],
  ['c11a514b67b0', { tag: 1, value: 1_363_896_240 }],
  ['c1fb41d452d9ec200000', { tag: 1, value: 1_363_896_240.5 }],
  ['d818456449455446', { tag: 24, value: Buffer.from('6449455446', 'hex') }],
  ['40', Buffer.alloc(0)],
  ['4401020304', Buffer.of(1, 2, 3, 4)],
  ['60', ''],
  ['62225c', '"\\'],
  ['64f0908591', '\u{10151}'],
  ['80', []],
  ['8301820203820405', [1, [2, 3], [4, 5]]],
  ['a0', new Map()],
  [
    'a201020304',
    new Map([
      [1, 2],
      [3, 4],
    ]),
  ],
  [
    'a26161016162820203',
    new Map<string, CborValue>([
      ['a', 1],
      ['b', [2, 3]],
    ]),
  ],
];

/** A reserved value with the bytes of an argument that would follow it, if there were more lengths of arguments. */
const withArgument = (info: number) => `${info.toString(16)}${'00'.repeat(2 ** (info - 24))}`;

describe('parseCbor', () => {
  it('reads the examples of RFC 8949', () => {
    for (const [hex, value] of EXAMPLES) assert.deepEqual(parseHex(hex), value, hex);
  });

  it('reads what an encoder makes', () => {
    const key = fc.oneof(fc.maxSafeInteger(), fc.string({ unit: 'binary' }));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constant(null),
        key,
        fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        fc.array(tie('value'), { maxLength: 5 }),
        fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map((entries) => new Map(entries)),
      ),
    }));
    fc.assert(fc.property(value, (made) => assert.deepEqual(parseCbor(encodeCbor(made)), made)));
  });

  const refused: [string, string[]][] = [
    ['no bytes, or more than one item', ['', '0000', '4001', '8001']],
    [
      'items that end too early',
      ['18', '19ff', '1a000000', '1b00000000000000', '41', '61', '81', 'a101', 'c1', 'fb00'],
    ],
    ['lengths beyond the end', ['5affffffff', '7affffffff', '9affffffff', 'baffffffff', '5b001fffffffffffff00']],
    ['indefinite lengths', ['5f4100ff', '7f6161ff', '9f00ff', 'bf0000ff', 'ff', '81ff', 'a1ffff']],
    ['reserved values', ['1c', '1d', '1e', '1f', 'df00', 'fc', ...[28, 29, 30, 31].map(withArgument)]],
    ['half floats and other simple values', ['f93c00', 'f7', 'f0', 'f8ff', 'e0']],
    [
      'integers beyond 53 bits',
      ['1b0020000000000000', '1bffffffffffffffff', '3bffffffffffffffff', 'db002000000000000000'],
    ],
    [
      'keys that are repeated',
      ['a200000000', 'a20000180000', 'a2616101616102', 'a1616100a0', '82a200000000', 'a2000000000101'],
    ],
    ['keys of other types', ['a1f400', 'a1f600', 'a1400000', 'a18000', 'a1a000', 'a1c10000', 'a1fb3ff000000000000000']],
    ['texts that are not UTF-8', ['61ff', '62c328', '63eda080']],
  ];
  for (const [what, all] of refused) {
    it(`refuses ${what}`, () => {
      for (const hex of all) assert.equal(parseHex(hex), undefined, hex);
    });
  }

  it('reads 16 levels and 1,000 items, and no more', () => {
    const nested = (levels: number) => Buffer.concat([Buffer.alloc(levels, 0x81), Buffer.of(0)]);
    const tagged = (levels: number) => Buffer.concat([Buffer.alloc(levels, 0xc1), Buffer.of(0)]);
    const maps = (levels: number) => Buffer.concat([...Array(levels).fill(Buffer.of(0xa1, 0)), Buffer.of(0)]);
    for (const make of [nested, tagged, maps]) {
      assert.notEqual(parseCbor(make(16)), undefined);
      for (const levels of [17, 100_000]) assert.equal(parseCbor(make(levels)), undefined);
    }
    const list = (length: number) => encodeCbor(Array(length).fill(0));
    assert.notEqual(parseCbor(list(999)), undefined);
    assert.equal(parseCbor(list(1000)), undefined);
    const map = (size: number) => encodeCbor(new Map(Array.from({ length: size }, (_, n) => [n, 0])));
    assert.notEqual(parseCbor(map(499)), undefined);
    assert.equal(parseCbor(map(500)), undefined);
  });

  it('refuses every beginning of a signature', () => {
    const bytes = readFixture('notation-ec.cose');
    assert.notEqual(parseCbor(bytes), undefined);
    for (let end = 0; end < bytes.length; end++) assert.equal(parseCbor(bytes.subarray(0, end)), undefined);
  });

  it('finds the value of a tag', () => {
    const value = parseCbor(encodeCbor(new Tagged(18, [1])));
    assert.deepEqual(taggedValue(value, 18), [1]);
    for (const other of [undefined, null, 18, 'tag', [18], new Map([['tag', 18]]), Buffer.of(18)]) {
      assert.equal(taggedValue(other, 18), undefined);
    }
    assert.equal(taggedValue(value, 98), undefined);
  });
});
