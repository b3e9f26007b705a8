import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonValue } from '../../lib/model/json.ts';
import {
  eitherOf,
  fieldsOf,
  InvalidJsonError,
  JsonScanner,
  MAX_TAKEN_BYTES,
  type Selection,
} from '../../lib/model/json-scanner.ts';

/** What the scanner takes of a document that comes in pieces of some size. */
function scan(text: string, select: (taken: unknown[]) => Selection, pieceBytes = text.length): unknown[] {
  const taken: unknown[] = [];
  const scanner = new JsonScanner(select(taken));
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes) scanner.write(bytes.subarray(at, at + pieceBytes));
  scanner.end();
  return taken;
}

const into = (taken: unknown[], name: string): Selection => ({
  take: (value: JsonValue | undefined) => taken.push([name, value]),
});

const SELECT = (taken: unknown[]): Selection =>
  fieldsOf({
    text: into(taken, 'text'),
    list: {
      items: {
        begin: () => taken.push('begin'),
        end: () => taken.push('end'),
        ...fieldsOf({ a: into(taken, 'a'), b: into(taken, 'b') }),
      },
    },
  });

const DOCUMENT = JSON.stringify({
  skipped: { text: 'not this one', deep: [[{ list: [1] }], 'a "quoted" ] } , text \\'] },
  text: 'ä "\\ end',
  list: [{ a: 1, c: [1, 2], b: { x: [true, null] } }, 7, 'text', [], { b: -1.5e3 }, {}],
  number: 12,
});

const TAKEN = [
  ['text', 'ä "\\ end'],
  'begin',
  ['a', 1],
  ['b', { x: [true, null] }],
  'end',
  'begin',
  ['b', -1500],
  'end',
  'begin',
  'end',
];

describe('the scanner of JSON', () => {
  it('takes the selected values, whatever the sizes of the pieces', () => {
    for (const text of [DOCUMENT, JSON.stringify(JSON.parse(DOCUMENT), null, '\t \r\n')]) {
      for (const size of [1, 2, 3, 7, 64, text.length]) assert.deepEqual(scan(text, SELECT, size), TAKEN, `${size}`);
    }
  });

  it('takes a value of any type, and skips one that has another shape than selected', () => {
    const values = [null, true, 0, '', [], {}, [1, { a: 2 }]];
    for (const value of values) {
      const text = JSON.stringify({ text: value, list: value });
      assert.deepEqual(
        scan(text, (taken) => fieldsOf({ text: into(taken, 'text') })),
        [['text', value]],
      );
      scan(text, (taken) => fieldsOf({ list: fieldsOf({ a: into(taken, 'a') }), text: { items: into(taken, 'i') } }));
    }
  });

  it('tells of a value that is too large, and goes on behind it', () => {
    const long = 'x'.repeat(MAX_TAKEN_BYTES);
    for (const size of [1000, MAX_TAKEN_BYTES * 2]) {
      const taken = scan(JSON.stringify({ text: long, list: [{ a: [long], b: 1 }] }), SELECT, size);
      assert.deepEqual(taken, [['text', undefined], 'begin', ['a', undefined], ['b', 1], 'end']);
    }
    assert.deepEqual(scan(JSON.stringify({ [long]: 1, text: 2 }), SELECT, 1000), [['text', 2]]);
  });

  it('hands on the bytes of a string as they come', () => {
    const pieces: string[] = [];
    const select = () =>
      fieldsOf({ payload: { takeText: (bytes: Uint8Array) => pieces.push(Buffer.from(bytes).toString()) } });
    scan('{"payload": "abc\\"def", "x": 1}', select, 8);
    assert.equal(pieces.join(''), '"abc\\"def"');
    assert.ok(pieces.length > 1);
  });

  it('refuses what is no JSON document', () => {
    const invalid = [
      '',
      '{',
      '{"text"',
      '{"text":',
      '{"text":}',
      '{"text":1',
      '{"text":1,}x',
      '{"text":nul}',
      '{"text":"\\x"}',
      '{"list":[{"a":1}',
      '{"list":[{]}',
      '{"list":[,]}',
      '{"list":[{"a" 1}]}',
      '{text:1}',
      '{} {}',
      '{}]',
      '"text',
      ']',
      '\uFEFF{}',
      'spdxVersion: SPDX-2.3',
      '<bom/>\n',
    ];
    for (const text of invalid) {
      for (const size of [1, 100])
        assert.throws(() => scan(text, SELECT, size), InvalidJsonError, `${text} by ${size}`);
    }
  });

  it('refuses what is nested deeper than 200 levels, selected or not', () => {
    const nested = (levels: number, name: string) =>
      [...Array(levels).fill(`{"${name}":`), '1', '}'.repeat(levels)].join('');
    const select = () => {
      const endless: { fields: Map<string, Selection> } = { fields: new Map() };
      endless.fields.set('a', endless);
      return endless;
    };
    for (const name of ['a', 'b']) {
      scan(nested(200, name), select);
      assert.throws(() => scan(nested(201, name), select), InvalidJsonError);
    }
  });

  it('takes what either of two selections takes', () => {
    const taken: unknown[] = [];
    const both = eitherOf(
      fieldsOf({ a: fieldsOf({ x: into(taken, 'left') }), list: { items: into(taken, 'item') } }),
      fieldsOf({ a: fieldsOf({ x: into(taken, 'right'), y: into(taken, 'y') }), z: into(taken, 'z') }),
    );
    scan('{"a":{"x":1,"y":2},"list":[3],"z":4}', () => both);
    assert.deepEqual(taken, [
      ['left', 1],
      ['right', 1],
      ['y', 2],
      ['item', 3],
      ['z', 4],
    ]);
  });
});
