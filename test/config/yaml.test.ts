import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { boolYaml11Tag, floatYaml11Tag, intYaml11Tag, NOT_RESOLVED, nullYaml11Tag } from 'js-yaml';
import { composeYaml } from '../../lib/config/compose-yaml.ts';
import { expandEnv } from '../../lib/config/expand-env.ts';
import { plainValue } from '../../lib/config/plain-value.ts';
import { parseSimpleYaml } from '../../lib/config/simple-yaml.ts';
import { parseYaml } from '../../lib/config/yaml.ts';
import { YamlError } from '../../lib/config/yaml-nodes.ts';
import { toData } from '../../lib/config/yaml-values.ts';

const data = (text: string) => toData(parseYaml(text));

const VALUES: [text: string, value: unknown][] = [
  ['', null],
  ['# only a comment', null],
  ['~', null],
  ['Null', null],
  ['true', true],
  ['Yes', true],
  ['ON', true],
  ['no', false],
  ['off', false],
  ['y', 'y'],
  ['N', 'N'],
  ['5000', 5000],
  ['0123', 83],
  ['0x1f', 31],
  ['0b11', 3],
  ['1_000', 1000],
  ['1:30', 90],
  ['1.5', 1.5],
  ['"0123"', '0123'],
  ["'yes'", 'yes'],
  ['! 12', '12'],
  ['!!str 12', '12'],
  ['!!int "12"', 12],
  ['2014-01-01', '2014-01-01'],
  ['text # comment', 'text'],
  ['[a, 1, [true]]', ['a', 1, [true]]],
  ['[! 1]', ['1']],
  ['{a: b, "c": ~}', { a: 'b', c: null }],
  ['a: b', { a: 'b' }],
  ['a: 1\nb: &b {c: 2}\nd: {<<: *b, c: 3}\ne: {c: 4, <<: *b}', { a: 1, b: { c: 2 }, d: { c: 3 }, e: { c: 4 } }],
  ['a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}', { a: { x: 1 }, b: { x: 2, y: 2 }, c: { x: 1, y: 2 } }],
];

for (const [text, value] of VALUES) {
  test(`YAML 1.1: ${JSON.stringify(text)} is ${JSON.stringify(value)}`, () => {
    assert.deepEqual(data(text), value);
  });
}

const REFUSED: { text: string; says: RegExp }[] = [
  { text: 'a: 1\nb: !!python/object/apply:os.system [id]', says: /!!python\/object\/apply:os\.system.*line 2/ },
  { text: 'a: 1\nb: !!js/function "x"', says: /!!js\/function.*line 2/ },
  { text: 'a: 1\na: 2', says: /the key a is written twice \(first in line 1; keep one of them\) in line 2/ },
  { text: 'a: [1', says: /flow collection/ },
  { text: 'a: "b', says: /double quoted/ },
  { text: 'a: 1\n---\nb: 2', says: /more than one YAML document/ },
  { text: '? [a]\n: b', says: /key must be a text/ },
  { text: 'a: &a {b: *a}', says: /cannot hold itself/ },
  { text: 'a: &a [*a]', says: /cannot hold itself/ },
  { text: `a: ${'['.repeat(200)}`, says: /nesting/ },
];

for (const { text, says } of REFUSED) {
  test(`YAML that is refused, with the line: ${JSON.stringify(text.slice(0, 40))}`, () => {
    assert.throws(() => parseYaml(text), { name: 'YamlError', message: says });
  });
}

for (const text of [
  '*hunter2',
  '!hunter2',
  '!!hunter2',
  '!<hunter2>',
  '%hunter2',
  '@hunter2',
  '"hunter2',
  '{hunter2',
]) {
  test(`a secret that YAML stumbles on is not in the message: ${text}`, () => {
    for (const yaml of [text, `secret_key: ${text}\n`]) {
      try {
        parseYaml(yaml);
      } catch (error) {
        assert.ok(error instanceof YamlError);
        assert.doesNotMatch(error.message, /hunter2/);
      }
    }
  });
}

test('a map from YAML has no prototype to fall through to', () => {
  assert.deepEqual(Object.keys(data('__proto__: 1\nconstructor: 2') as object), ['__proto__', 'constructor']);
});

test('_env: is expanded in values only, at any depth, once, and only at the beginning of a text', () => {
  const env = { A: 'a', LIST: '[1, two]', MAP: '{k: v}', AGAIN: '_env:A', EMPTY: '' };
  const text = `
_env:A : key
map: {deep: {deeper: "_env:A"}}
list: ["_env:A", [_env:LIST], x_env:A]
from: _env:MAP
again: _env:AGAIN
unset: [_env:B, "_env:B:", "_env:B:b:c:d", "_env:EMPTY:default", _env:toString]
url: _env:B:sqlite:////tmp/x
`;
  assert.deepEqual(toData(expandEnv(parseYaml(text), { env, parse: parseYaml })), {
    '_env:A': 'key',
    map: { deep: { deeper: 'a' } },
    list: ['a', [[1, 'two']], 'x_env:A'],
    from: { k: 'v' },
    again: '_env:A',
    unset: [null, null, 'b:c:d', null, null],
    url: 'sqlite:////tmp/x',
  });
});

for (const word of [
  'true',
  'yes',
  '1',
  '007',
  '0x1F',
  '1.50',
  '1e3',
  '2026-01-02',
  'a-b',
  'a.b/c',
  '/registry',
  '_',
  'a-',
  'a--b',
]) {
  test(`a variable that is the word ${word} is what js-yaml makes of it`, () => {
    assert.deepEqual([parseYaml(word)], composeYaml(word));
  });
}

for (const map of [
  '{htpasswd: "arn:aws:secretsmanager:us-east-1:123456789012:secret:users-AbC"}',
  '{a_b: ""}',
  '{y: "# {[,]}: *&!"}',
]) {
  test(`the map ${map} is what js-yaml makes of it`, () => {
    assert.deepEqual([parseSimpleYaml(map)], composeYaml(map));
  });
}

for (const text of [
  '{a: "\\n"}',
  '{a: "b", c: "d"}',
  '{"a": "b"}',
  '{a: b}',
  "{a: 'b'}",
  '{<<: "b"}',
  '{a: "ä"}',
  '{a: "b"} # c',
]) {
  test(`${text} is left to js-yaml`, () => {
    assert.equal(parseSimpleYaml(text), undefined);
  });
}

test('plain scalars have the values that js-yaml gives them', () => {
  const byJsYaml = (text: string) => {
    const values = [nullYaml11Tag, boolYaml11Tag, intYaml11Tag, floatYaml11Tag].map((tag) =>
      tag.resolve(text, false, tag.tagName),
    );
    const resolved = values.filter((value) => value !== NOT_RESOLVED);
    return resolved.length > 0 && !/^[yn]$/i.test(text) ? resolved[0] : text;
  };
  const likeNumber = fc.string({ unit: fc.constantFrom(...'+-0123456789abcdefABCDEFx_.:eINinfan'), maxLength: 8 });
  const words = [
    'null',
    'Null',
    'nULL',
    '~',
    'true',
    'True',
    'tRUE',
    'yes',
    'off',
    'OFF',
    '.inf',
    '-.Inf',
    '.NaN',
    '-0',
    '-.nan',
  ];
  const rare = ['0b1_0', '0x_', '0b_', '010', '09', '1:30', '-1:30.5', '1_000', '.', '._', '+.5e+3', '9'.repeat(400)];
  const texts = fc.oneof(likeNumber, fc.constantFrom(...words, ...rare));
  fc.assert(
    fc.property(texts, (text) => {
      assert.deepEqual(plainValue(text), byJsYaml(text));
    }),
    { numRuns: 20_000, examples: [...words, ...rare].map((text): [string] => [text]) },
  );
});
