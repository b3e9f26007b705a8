import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Heartbeat, MAX_UNANSWERED_CHECKS } from '../../lib/workers/heartbeat.ts';

/** A process whose pings the test answers. */
function openHeartbeat() {
  const pings: PromiseWithResolvers<void>[] = [];
  let hangs = 0;
  const heartbeat = new Heartbeat(
    () => {
      const ping = Promise.withResolvers<void>();
      pings.push(ping);
      return ping.promise;
    },
    () => hangs++,
  );
  const check = (times: number) => {
    for (let made = 0; made < times; made++) heartbeat.check();
  };
  return { check, pings, hangs: () => hangs };
}

describe('a heartbeat', () => {
  it('finds once that a process hangs which answers no ping, and sends it no second one', () => {
    const { check, pings, hangs } = openHeartbeat();
    check(MAX_UNANSWERED_CHECKS);
    assert.equal(hangs(), 0);
    check(3);
    assert.deepEqual([hangs(), pings.length], [1, 1]);
  });

  it('counts anew after each answer', async () => {
    const { check, pings, hangs } = openHeartbeat();
    for (let round = 1; round <= 3; round++) {
      check(MAX_UNANSWERED_CHECKS);
      assert.equal(pings.length, round);
      pings.at(-1)?.resolve();
      await pings.at(-1)?.promise;
    }
    assert.equal(hangs(), 0);
  });

  it('does not take a process that has ended for one that hangs', async () => {
    const { check, pings, hangs } = openHeartbeat();
    for (let round = 1; round <= MAX_UNANSWERED_CHECKS + 1; round++) {
      check(1);
      pings.at(-1)?.reject(new Error('it has ended'));
      await assert.rejects(async () => await pings.at(-1)?.promise);
    }
    assert.deepEqual([hangs(), pings.length], [0, MAX_UNANSWERED_CHECKS + 1]);
  });
});
