import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { RegistryError } from '../../lib/model/errors.ts';
import { Calls, type Channel, type Handlers } from '../../lib/workers/calls.ts';

type Asked = {
  double: { argument: number; result: number };
  refuse: { argument: undefined; result: undefined };
  wait: { argument: undefined; result: string };
  note: { argument: string; result: undefined };
};
type None = Record<never, never>;

/** Two sides of a channel that copies messages, as the one between processes does. */
function openCalls(handlers: Partial<Handlers<Asked>>) {
  const [asking, answering] = [new EventEmitter(), new EventEmitter()];
  const channelTo = (other: EventEmitter, own: EventEmitter) =>
    Object.assign(own, {
      send(message: unknown, onSent: (error: Error | null) => void) {
        const copy = structuredClone(message);
        setImmediate(() => {
          other.emit('message', copy);
          onSent(null);
        });
      },
    }) as unknown as Channel;
  const calls = new Calls<None, Asked>(channelTo(answering, asking), {});
  new Calls<Asked, None>(channelTo(asking, answering), handlers as Handlers<Asked>);
  return { calls, end: () => asking.emit('disconnect') };
}

describe('calls between processes', () => {
  it('give each caller the result of its own call', async () => {
    const { calls } = openCalls({ double: async (number) => 2 * number });
    assert.deepEqual(await Promise.all([1, 2, 3].map((number) => calls.call('double', number))), [2, 4, 6]);
  });

  it('pass on an error with its code, headers and detail', async () => {
    const { calls } = openCalls({
      refuse: () => {
        throw new RegistryError('TOOMANYREQUESTS', 'later', { headers: { 'Retry-After': '5' }, detail: { a: 1 } });
      },
    });
    await assert.rejects(calls.call('refuse', undefined), (error) => {
      assert.ok(error instanceof RegistryError);
      const { code, message, headers, detail } = error;
      assert.deepEqual(
        { code, message, headers, detail },
        {
          ...{ code: 'TOOMANYREQUESTS', message: 'later' },
          ...{ headers: { 'Retry-After': '5' }, detail: { a: 1 } },
        },
      );
      return true;
    });
  });

  it('tell the other side of an abort, and still return what it has done by then', async () => {
    const { calls } = openCalls({
      wait: (_, signal) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve('done before the abort'))),
    });
    const controller = new AbortController();
    const waiting = calls.call('wait', undefined, controller.signal);
    controller.abort();
    assert.equal(await waiting, 'done before the abort');
  });

  it('arrive in the order in which they are made, with and without an answer', async () => {
    const notes: string[] = [];
    const { calls } = openCalls({
      note: (text) => {
        notes.push(text);
        return undefined;
      },
    });
    calls.notify('note', 'first');
    calls.notify('note', 'second');
    await calls.call('note', 'third');
    assert.deepEqual(notes, ['first', 'second', 'third']);
  });

  it('fail with UNAVAILABLE once the other process has ended', async () => {
    const { calls, end } = openCalls({ wait: () => new Promise(() => undefined) });
    const waiting = calls.call('wait', undefined);
    end();
    for (const call of [waiting, calls.call('double', 1)]) {
      await assert.rejects(call, (error) => error instanceof RegistryError && error.code === 'UNAVAILABLE');
    }
  });
});
