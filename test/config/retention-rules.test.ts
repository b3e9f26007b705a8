import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeConfig } from '../../lib/config/describe.ts';
import { DAY_MS, HOUR_MS } from '../../lib/model/duration.ts';
import type { RetentionRule } from '../../lib/registry/retention/rules.ts';
import { loadKeys, loadText, messageOf, textFile } from './load-text.ts';

const LOCAL = 'dev:\n  storage: local\n  storage_path: ./data\n';
const withRules = (...rules: string[]) =>
  `${LOCAL}  retention:\n    rules:\n${rules.map((rule) => `      - ${rule}\n`).join('')}`;

function rulesOf(...rules: string[]): RetentionRule[] {
  return loadText(withRules(...rules)).config.retention.rules;
}

test('without the key there are no rules, and deleted tags can be restored for 14 days', () => {
  const { retention } = loadKeys({}).config;
  assert.deepEqual(retention.rules, []);
  assert.equal(retention.undoMs, 14 * DAY_MS);
});

test('retention.undo is a duration', () => {
  assert.equal(loadKeys({ retention: { undo: '36h' } }).config.retention.undoMs, 36 * HOUR_MS);
});

test('a rule is read with all of its clauses', () => {
  const clauses = '{last: 10, newer: 30d, newest_of_each: {minor: 3}, last_pulled: 2w, all_of: {last: 3, newer: 100h}}';
  assert.deepEqual(rulesOf(`{repositories: ['team/*'], tags: 'pr-*, ci-*', keep: ${clauses}}`), [
    {
      number: 1,
      repositories: ['team/*'],
      tags: ['pr-*', 'ci-*'],
      keep: {
        last: 10,
        newerMs: 30 * DAY_MS,
        newestOfEach: { minor: 3 },
        lastPulledMs: 14 * DAY_MS,
        allOf: { last: 3, newerMs: 100 * HOUR_MS },
      },
    },
  ]);
});

test('rules without clauses: always, by label, untagged', () => {
  assert.deepEqual(
    rulesOf(
      "{repositories: app, tags: 'v*', keep: always}",
      "{repositories: '**', expires: label}",
      "{repositories: 'x/*', untagged: keep}",
      "{repositories: '**', untagged: 14d}",
    ),
    [
      { number: 1, repositories: ['app'], tags: ['v*'], keep: 'always' },
      { number: 2, repositories: ['**'], expires: 'label' },
      { number: 3, repositories: ['x/*'], untagged: 'keep' },
      { number: 4, repositories: ['**'], untagged: { olderThanMs: 14 * DAY_MS } },
    ],
  );
});

const GOOD = "{repositories: ['a/*'], keep: {last: 1}}";

type Row = { rule: string; says: RegExp };
const WRONG: Row[] = [
  { rule: '{}', says: /rule 2 is empty/ },
  { rule: 'text', says: /rule 2 is not a map/ },
  { rule: '{keep: {last: 1}}', says: /rule 2 names no repositories/ },
  { rule: '{repositories: [], keep: {last: 1}}', says: /no pattern in repositories/ },
  { rule: '{repositories: [b], tags: [], keep: {last: 1}}', says: /no pattern in tags/ },
  { rule: '{repositories: [b], kep: {last: 1}}', says: /has kep; did you mean keep\?/ },
  { rule: '{repositories: [b], tag: [x], keep: {last: 1}}', says: /has tag; did you mean tags\?/ },
  { rule: '{repositories: [b]}', says: /one of keep, expires and untagged; it has none/ },
  { rule: '{repositories: [b], keep: }', says: /keep that is not allowed/ },
  { rule: '{repositories: [b], keep: {}}', says: /empty keep/ },
  { rule: '{repositories: [b], keep: never}', says: /keep that is not allowed/ },
  { rule: '{repositories: [b], keep: {lst: 3}}', says: /in keep lst; did you mean last\?/ },
  { rule: '{repositories: [b], keep: {last: 0}}', says: /last that is not allowed/ },
  { rule: '{repositories: [b], keep: {last: -1}}', says: /last that is not allowed/ },
  { rule: '{repositories: [b], keep: {last: }}', says: /last that is not allowed/ },
  { rule: '{repositories: [b], keep: {newer: 30}}', says: /newer that is not allowed/ },
  { rule: '{repositories: [b], keep: {newer: 0d}}', says: /newer that is not allowed/ },
  { rule: '{repositories: [b], keep: {newer: 30 days}}', says: /newer that is not allowed/ },
  { rule: '{repositories: [b], keep: {last_pulled: 2h}}', says: /last_pulled that is not allowed.*at least 1d/ },
  { rule: '{repositories: [b], keep: {newest_of_each: minr}}', says: /newest_of_each that is not allowed/ },
  { rule: '{repositories: [b], keep: {newest_of_each: {minor: 0}}}', says: /minor that is not allowed/ },
  { rule: '{repositories: [b], keep: {all_of: {last: 3}}}', says: /two clauses or more in all_of/ },
  { rule: '{repositories: [b], keep: {all_of: {last: 3, all_of: 1}}}', says: /in all_of all_of/ },
  { rule: '{repositories: [b], expires: quay}', says: /allowed: label/ },
  { rule: '{repositories: [b], keep: {last: 1}, expires: label}', says: /it has keep and expires/ },
  { rule: '{repositories: [b], tags: [x], untagged: 14d}', says: /tags and untagged/ },
  { rule: '{repositories: [b], untagged: 1h}', says: /untagged that is not allowed/ },
  {
    rule: "{repositories: ['b:latest'], keep: {last: 1}}",
    says: /"b:latest" in repositories, which no name can match/,
  },
  { rule: "{repositories: ['b//c'], keep: {last: 1}}", says: /"b\/\/c" in repositories/ },
  {
    rule: "{repositories: [b], tags: ['^pr-.*$'], keep: {last: 1}}",
    says: /"\^pr-\.\*\$" in tags.*no regular expressions/,
  },
  { rule: "{repositories: [b], tags: ['a/b'], keep: {last: 1}}", says: /"a\/b" in tags/ },
  { rule: "{repositories: ['a/b'], tags: ['pr-*'], keep: {last: 2}}", says: /rule 2 can match nothing: rule 1/ },
  { rule: "{repositories: ['a/*'], expires: label}", says: /rule 2 can match nothing/ },
];

for (const { rule, says } of WRONG) {
  test(`the configuration is refused, with the line of the rule: ${rule}`, () => {
    const message = messageOf(() => loadText(withRules(GOOD, rule)));
    assert.match(message, says);
    assert.ok(message.startsWith(`${textFile}:7: retention.rules`), message);
  });
}

test('the message names the line of the key inside a rule', () => {
  const text = withRules("repositories: ['b']\n        keep:\n          lst: 3");
  const message = messageOf(() => loadText(text));
  assert.ok(message.startsWith(`${textFile}:8: `), message);
  assert.match(message, /did you mean last/);
});

test('an empty list of rules is refused', () => {
  assert.match(
    messageOf(() => loadText(`${LOCAL}  retention:\n    rules: []\n`)),
    /has no rule/,
  );
});

test('a misspelt key of retention, or retention itself misspelt or misplaced, is refused', () => {
  const rules = [{ repositories: ['b'], keep: { last: 1 } }];
  assert.match(
    messageOf(() => loadKeys({ retention: { rule: rules } })),
    /did you mean retention.rules\?/,
  );
  assert.match(
    messageOf(() => loadKeys({ retension: { rules } })),
    /did you mean retention\?/,
  );
  assert.match(
    messageOf(() => loadText(`${LOCAL}retention:\n  rules: []\n`)),
    /stands beside the flavors/,
  );
});

test('rules that pass tags on to the next are followed by rules for the same tags', () => {
  const rules = rulesOf(
    "{repositories: '**', expires: label}",
    "{repositories: '**', keep: {newest_of_each: minor}}",
    "{repositories: '**', keep: {newer: 3w}}",
    "{repositories: '**', untagged: 14d}",
  );
  assert.equal(rules.length, 4);
});

test('stowage config shows rules in a form that gives the same rules', () => {
  const text = withRules(
    "{repositories: ['a/*'], tags: ['pr-*'], keep: {last: 10, newer: 36h, all_of: {last: 3, newest_of_each: minor}}}",
    "{repositories: '**', untagged: 2w}",
  );
  const loaded = loadText(text);
  const again = loadText(describeConfig(loaded));
  assert.deepEqual(again.config.retention, loaded.config.retention);
});
