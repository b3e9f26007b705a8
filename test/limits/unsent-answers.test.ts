import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { UnsentAnswers } from '../../lib/limits/unsent-answers.ts';
import { MiB } from '../../lib/streams/bytes.ts';

class Unsent extends EventEmitter {
  writableFinished = false;
  destroyed = false;
  writableLength: number;
  req = { socket: { destroy: () => this.#close() } };
  constructor(writableLength: number) {
    super();
    this.writableLength = writableLength;
  }
  #close(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

describe('responses that clients do not receive', () => {
  const add = (answers: UnsentAnswers, bytes: number, address: string) => {
    const answer = new Unsent(bytes);
    answers.add(answer as unknown as ServerResponse, address);
    return answer;
  };

  it('are ended beyond the limit, beginning with the oldest of the address that has the most', () => {
    const answers = new UnsentAnswers(10 * MiB);
    const alone = add(answers, 3 * MiB, 'a');
    const many = Array.from({ length: 6 }, () => add(answers, 2 * MiB, 'b'));
    assert.deepEqual(
      [alone, ...many].map(({ destroyed }) => destroyed),
      [false, true, true, true, false, false, false],
    );
  });

  it('do not count once they have been received', () => {
    const answers = new UnsentAnswers(10 * MiB);
    const first = add(answers, 8 * MiB, 'a');
    first.writableLength = 0;
    const second = add(answers, 8 * MiB, 'a');
    second.emit('close');
    assert.equal(answers.size, 1);
    assert.deepEqual([first.destroyed, second.destroyed], [false, false]);
  });

  it('do not count if they are small or have been received', () => {
    const answers = new UnsentAnswers(1);
    add(answers, 1000, 'a');
    const sent = new Unsent(MiB);
    sent.writableFinished = true;
    answers.add(sent as unknown as ServerResponse, 'a');
    assert.equal(answers.size, 0);
  });
});
