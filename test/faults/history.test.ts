import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findContradiction, type Operation } from './history.ts';

const NEVER = Number.POSITIVE_INFINITY;
const write = (value: string, start: number, end: number): Operation => ({ kind: 'write', value, start, end });
const read = (value: string, start: number, end: number): Operation => ({ kind: 'read', value, start, end });

describe('a history of reads and writes', () => {
  const possible: [title: string, operations: Operation[]][] = [
    ['nothing at all', []],
    ['what was written is read', [write('a', 1, 2), read('a', 3, 4)]],
    ['nothing is read before the first write', [read('absent', 0, 1), write('a', 2, 3)]],
    ['a read during a write sees the old value', [write('a', 1, 2), write('b', 3, 6), read('a', 4, 5)]],
    ['a read during a write sees the new value', [write('a', 1, 2), write('b', 3, 6), read('b', 4, 5)]],
    ['of two writes at once either wins', [write('a', 1, 4), write('b', 2, 3), read('a', 5, 6), read('a', 7, 8)]],
    ['a write without an answer has happened', [write('a', 1, NEVER), read('a', 5, 6)]],
    ['a write without an answer has not happened', [write('a', 1, 2), write('b', 3, NEVER), read('a', 5, 6)]],
    [
      'a write without an answer happens late',
      [write('a', 1, 2), write('b', 3, NEVER), read('a', 5, 6), read('b', 7, 8)],
    ],
  ];
  for (const [title, operations] of possible) {
    test(`is possible if ${title}`, () => assert.equal(findContradiction(operations), undefined));
  }

  const impossible: [title: string, operations: Operation[], contradiction: RegExp][] = [
    ['a value was never written', [read('a', 1, 2)], /no write has that value/],
    ['a value is read before it is written', [read('a', 1, 2), write('a', 3, 4)], /before it was written/],
    ['an acknowledged write is not seen', [write('a', 1, 2), read('absent', 3, 4)], /still seen/],
    ['an older value is seen again', [write('a', 1, 2), write('b', 3, 4), read('a', 5, 6)], /still seen/],
    [
      'two readers see two orders',
      [write('a', 1, 9), write('b', 1, 9), read('a', 10, 11), read('b', 12, 13), read('a', 14, 15)],
      /before and after/,
    ],
    [
      'a read during a write sees the new value, and a later one the old value',
      [write('a', 1, 2), write('b', 3, 10), read('b', 4, 5), read('a', 6, 7)],
      /before and after|still seen/,
    ],
    ['a write without an answer comes and goes', [write('b', 1, NEVER), read('b', 2, 3), read('absent', 4, 5)], /seen/],
  ];
  for (const [title, operations, contradiction] of impossible) {
    test(`is impossible if ${title}`, () => assert.match(findContradiction(operations) ?? '', contradiction));
  }
});
