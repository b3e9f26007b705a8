import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasUniqueNames, type JsonValue, parseJson } from '../../lib/model/json.ts';
import { encodeText, MiB } from '../../lib/streams/bytes.ts';

const parse = (text: string, maxValues?: number) => parseJson(encodeText(text), maxValues ? { maxValues } : {});

describe('parseJson', () => {
  it('returns what JSON.parse returns', () => {
    for (const text of ['null', '3', '"a"', '[]', '{"a": [1, {"b": "\\"]}"}], "\\\\": "[["}']) {
      assert.deepEqual(parse(text), JSON.parse(text));
    }
  });

  it('returns undefined for bytes that are not JSON', () => {
    for (const text of ['', 'x', '[', ']', '"', '"\\', '{"a":}', '\ufeff{}', '[1] 2', '{"a" 1}'])
      assert.equal(parse(text), undefined, text);
  });

  it('parses 200 levels and no more', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    assert.notEqual(parse(nested(200)), undefined);
    assert.equal(parse(nested(201)), undefined);
    assert.equal(parse(nested(100_000)), undefined);
    assert.equal(parse(`${'{"a":'.repeat(201)}0${'}'.repeat(201)}`), undefined);
  });

  it('counts values outside of strings, up to the number that the caller allows', () => {
    assert.deepEqual(parse('[1,2,3]', 4), [1, 2, 3]);
    assert.equal(parse('[1,2,3]', 3), undefined);
    assert.deepEqual(parse('["[{,:\\"[[,"]', 2), ['[{,:"[[,']);
    assert.equal(parse('{"a":1,"b":2}', 4), undefined);
  });

  it('parses no more than a million values, however few bytes they take', (t) => {
    const parsed = t.mock.method(JSON, 'parse');
    assert.equal(parse(`[${'[],'.repeat((16 * MiB) / 3)}[]]`), undefined);
    assert.equal(parsed.mock.callCount(), 0);
    assert.equal((parse(`[${'0,'.repeat(900_000)}0]`) as unknown[]).length, 900_001);
  });
});

describe('hasUniqueNames', () => {
  const isUnique = (text: string) => hasUniqueNames(encodeText(text), JSON.parse(text) as JsonValue);

  it('finds a name that an object has twice, however it is written and wherever it is', () => {
    for (const text of [
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":1}',
      '{"\\u0061":1,"a":1}',
      '{"\\\\":1}',
      '[{"b":{"a":1,"c":[],"a":2}}]',
      '{"__proto__":1,"__proto__":2}',
      '{"1":1,"1":2}',
    ]) {
      assert.equal(isUnique(text), false, text);
    }
  });

  it('takes colons in strings, and equal names in different objects, for what they are', () => {
    for (const text of [
      '{"a":":","b":"\\":"}',
      '[{"a":1},{"a":{"a":2}}]',
      '{":":1}',
      '{"__proto__":{"a":1}}',
      '"a"',
      '1',
    ]) {
      assert.equal(isUnique(text), true, text);
    }
  });
});
