import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { LoginThrottle } from '../../lib/auth/login-throttle.ts';
import { RegistryError } from '../../lib/errors.ts';

/** A clock in the hands of the test. */
function clock(t: TestContext): { advance(seconds: number): void } {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  return {
    advance(seconds) {
      now += seconds * 1000;
    },
  };
}

/** How many seconds to wait; 0 if there is nothing to wait for. */
function waitOf(throttle: LoginThrottle, name: string | undefined, address?: string): number {
  try {
    throttle.check(name, address);
    return 0;
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'TOOMANYREQUESTS') throw error;
    return Number(error.headers['Retry-After']);
  }
}

const fail = (
  throttle: LoginThrottle,
  times: number,
  name: (index: number) => string | undefined,
  address?: string,
) => {
  for (let i = 0; i < times; i++) throttle.failed(name(i), address);
};

describe('who tries passwords', () => {
  it('may mistype ten times, and waits longer with each more', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 9, () => 'alice', '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 0);
    fail(throttle, 1, () => 'alice', '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 10);
    fail(throttle, 5, () => 'alice', '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 60);
    fail(throttle, 14, () => 'alice', '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 110, 'and not for ever');
  });

  it('does not shut out the user at another address, nor others at this one', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 20, () => 'alice', '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.2'), 0);
    assert.equal(waitOf(throttle, 'bob', '192.0.2.1'), 0);
  });

  it('is slowed at one address, whatever names they try', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 30, (index) => `user${index}`, '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 4);
    assert.equal(waitOf(throttle, undefined, '192.0.2.1'), 4, 'tokens of robots as well');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.2'), 0);
  });

  it('is slowed with one name, from whatever addresses they come', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    for (let i = 0; i < 100; i++) throttle.failed('alice', `192.0.2.${i}`);
    assert.equal(waitOf(throttle, 'alice', '198.51.100.1'), 2);
    assert.equal(waitOf(throttle, 'bob', '198.51.100.1'), 0);
  });

  it('is forgiven in time', (t) => {
    const { advance } = clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 10, () => 'alice', '192.0.2.1');
    advance(9);
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 1);
    advance(1);
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 0);
  });

  it('cannot fill the memory: of many names the oldest are forgotten', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 10, () => 'alice');
    assert.ok(waitOf(throttle, 'alice') > 0);
    fail(throttle, 10_000, (index) => `user${index}`);
    assert.equal(waitOf(throttle, 'alice'), 0);
  });
});
