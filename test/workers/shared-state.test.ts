import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Config } from '../../lib/config/config.ts';
import { createLog } from '../../lib/model/log.ts';
import type { SlotName } from '../../lib/workers/answers.ts';
import { SharedState, WorkerHoldings } from '../../lib/workers/shared-state.ts';

const log = createLog('critical', () => true);

function openState(settings: Partial<Config>, comparePassword = async () => true) {
  const config = { uploadsAtOnce: 100, downloadsAtOnce: 100, ...settings } as Config;
  return new SharedState(config, { log, comparePassword });
}

function openWorker(state: SharedState) {
  const cutOff: SlotName[] = [];
  const holdings = new WorkerHoldings(state, (slot) => cutOff.push(slot));
  const acquire = async (id: number, caller = 'alice', signal = new AbortController().signal) => {
    await holdings.handlers['acquire slot']({ limit: 'uploads', id, caller }, signal);
    return 'granted' as const;
  };
  const lock = async (id: number, isExclusive: boolean, signal = new AbortController().signal) => {
    await holdings.handlers['acquire lock']({ id, key: 'tag', isExclusive }, signal);
    return 'granted' as const;
  };
  return { holdings, acquire, lock, cutOff };
}

/** Whether a promise has settled by now. */
async function hasSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => (settled = true)).catch(() => undefined);
  for (let turn = 0; turn < 5; turn++) await setImmediate();
  return settled;
}

describe('what workers share', () => {
  it('runs no more uploads in all workers together than in one process', async () => {
    const state = openState({ uploadsAtOnce: 2 });
    const [one, other] = [openWorker(state), openWorker(state)];
    await one.acquire(1);
    await other.acquire(1);
    const third = other.acquire(2);
    assert.equal(await hasSettled(third), false);
    one.holdings.handlers['release slot']({ limit: 'uploads', id: 1 }, new AbortController().signal);
    assert.equal(await third, 'granted');
  });

  it('frees the slots of a worker that has ended', async () => {
    const state = openState({ uploadsAtOnce: 1 });
    const [one, other] = [openWorker(state), openWorker(state)];
    await one.acquire(1);
    const waiting = other.acquire(1);
    assert.equal(await hasSettled(waiting), false);
    await one.holdings.release();
    assert.equal(await waiting, 'granted');
  });

  it('frees at once the slot and the lock for which a worker waited that has ended', async () => {
    const state = openState({ uploadsAtOnce: 1 });
    const [ended, other] = [openWorker(state), openWorker(state)];
    await ended.acquire(1);
    await other.lock(1, true);
    void ended.acquire(2);
    void ended.lock(1, true);
    await ended.holdings.release();
    other.holdings.handlers['release lock']({ id: 1 }, new AbortController().signal);
    const granted = Promise.all([other.acquire(1), other.lock(2, true)]);
    assert.equal(await hasSettled(granted), true);
  });

  it('gives no slot to a request whose client has gone away', async () => {
    const state = openState({ uploadsAtOnce: 1 });
    const [one, other] = [openWorker(state), openWorker(state)];
    await one.acquire(1);
    const controller = new AbortController();
    const gone = other.acquire(1, 'bob', controller.signal);
    controller.abort();
    await assert.rejects(gone);
    await one.holdings.release();
    assert.equal(await other.acquire(2), 'granted');
  });

  it('compares one password at a time', async () => {
    const running: (() => void)[] = [];
    const state = openState({}, () => new Promise((resolve) => running.push(() => resolve(true))));
    const first = state.comparePassword('a', 'h');
    const second = state.comparePassword('b', 'h');
    await setImmediate();
    assert.equal(running.length, 1);
    running[0]?.();
    await first;
    await setImmediate();
    running[1]?.();
    assert.equal(await second, true);
  });

  it('counts wrong logins of all workers together', async () => {
    const state = openState({});
    const [one, other] = [openWorker(state), openWorker(state)];
    const { signal } = new AbortController();
    const login = { name: 'alice', address: '192.0.2.1' };
    for (let failure = 0; failure < 10; failure++) {
      const { handlers } = (failure % 2 === 0 ? one : other).holdings;
      handlers['check login'](login, signal);
      handlers['login failed'](login, signal);
    }
    for (const { holdings } of [one, other]) {
      assert.throws(() => holdings.handlers['check login'](login, signal), { code: 'TOOMANYREQUESTS' });
    }
  });

  it('lets a delete of one worker wait for the puts of another, and puts for the delete', async () => {
    const state = openState({});
    const [one, other] = [openWorker(state), openWorker(state)];
    await one.lock(1, false);
    const deleting = other.lock(1, true);
    assert.equal(await hasSettled(deleting), false);
    one.holdings.handlers['release lock']({ id: 1 }, new AbortController().signal);
    await deleting;
    const putting = one.lock(2, false);
    assert.equal(await hasSettled(putting), false);
    other.holdings.handlers['release lock']({ id: 1 }, new AbortController().signal);
    assert.equal(await putting, 'granted');
  });

  it('frees the lock of a worker that gives up waiting', async () => {
    const state = openState({});
    const [one, other] = [openWorker(state), openWorker(state)];
    await one.lock(1, true);
    const controller = new AbortController();
    const waiting = other.lock(1, true, controller.signal);
    controller.abort();
    await assert.rejects(waiting, { code: 'UNAVAILABLE' });
    one.holdings.handlers['release lock']({ id: 1 }, controller.signal);
    assert.equal(await other.lock(2, true), 'granted');
  });

  it('holds the lock of a killed worker until a request that it had sent cannot be executed any more', async () => {
    const state = openState({});
    const [one, other] = [openWorker(state), openWorker(state)];
    await one.lock(1, true);
    const released = one.holdings.release();
    const putting = other.lock(1, false);
    assert.equal(await hasSettled(putting), false);
    await released;
    assert.equal(await putting, 'granted');
  });
});
