import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { LoginThrottle } from '../../lib/auth/login-throttle.ts';
import { RegistryError } from '../../lib/model/errors.ts';

/** A clock that the test sets. */
function clock(t: TestContext): { advance(seconds: number): void } {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  return {
    advance(seconds) {
      now += seconds * 1000;
    },
  };
}

/** Seconds to wait; 0 if the login may be tried now. */
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

describe('the login throttle', () => {
  it('allows ten failures, and makes each further one wait longer', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 9, () => 'alice', '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 0);
    fail(throttle, 1, () => 'alice', '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 10);
    fail(throttle, 5, () => 'alice', '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 60);
    fail(throttle, 14, () => 'alice', '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 110, 'up to a maximum');
  });

  it('does not delay the user at another address, nor other users at this one', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 20, () => 'alice', '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.2'), 0);
    assert.equal(waitOf(throttle, 'bob', '192.0.2.1'), 0);
  });

  it('delays an address after thirty failures with different names', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 30, (index) => `user${index}`, '192.0.2.1');
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 4);
    assert.equal(waitOf(throttle, 'alice', '192.0.2.2'), 0);
  });

  it('counts robots and users of one address separately', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 30, (index) => `user${index}`, '192.0.2.1');
    assert.equal(waitOf(throttle, undefined, '192.0.2.1'), 0);
    fail(throttle, 30, () => undefined, '192.0.2.2');
    assert.equal(waitOf(throttle, undefined, '192.0.2.2'), 4);
    assert.equal(waitOf(throttle, 'alice', '192.0.2.2'), 0);
  });

  it('counts a /64 of IPv6 as one address, and both forms of an IPv4 address', (t) => {
    clock(t);
    for (const [one, other, isSame] of [
      ['2001:db8:0:1::1', '2001:db8::1:ffff:ffff:ffff:ffff', true],
      ['2001:db8::1', '2001:DB8:0:0:9::', true],
      ['2001:db8:0:1::1', '2001:db8:0:2::1', false],
      ['::1', '::2', true],
      ['fe80::1%eth0', 'fe80::2%eth1', true],
      ['::ffff:192.0.2.1', '192.0.2.1', true],
      ['::ffff:192.0.2.1', '::ffff:192.0.2.2', false],
      ['192.0.2.1', '192.0.2.2', false],
      ['unknown', 'unknown', true],
    ] as const) {
      const throttle = new LoginThrottle();
      fail(throttle, 30, (index) => `user${index}`, one);
      assert.equal(waitOf(throttle, 'alice', other) > 0, isSame, `${one} and ${other}`);
    }
  });

  it('delays guesses at one name from many addresses, after one guess from each', (t) => {
    const { advance } = clock(t);
    const throttle = new LoginThrottle();
    for (let i = 0; i < 100; i++) throttle.failed('alice', `192.0.2.${i}`);
    for (let i = 0; i < 100; i++) assert.equal(waitOf(throttle, 'alice', `192.0.2.${i}`), 2);
    assert.equal(waitOf(throttle, 'bob', '192.0.2.1'), 0);
    assert.equal(waitOf(throttle, 'alice', undefined), 2, 'without an address');
    advance(60);
    for (let i = 0; i < 100; i++) throttle.failed('alice', `198.51.100.${i}`);
    assert.ok(waitOf(throttle, 'alice', '192.0.2.1') > 0, 'a guess that is long ago counts as one');
  });

  it('does not delay the user under attack at an address without failures of that user', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    for (let i = 0; i < 1000; i++) throttle.failed('alice', `192.0.${i >> 8}.${i % 256}`);
    throttle.failed('bob', '203.0.113.1');
    assert.equal(waitOf(throttle, 'alice', '203.0.113.1'), 0);
  });

  it('counts all clients without a known address as one, of which ten failures lock no user out', (t) => {
    clock(t);
    for (const address of [undefined, '']) {
      const throttle = new LoginThrottle();
      fail(throttle, 29, () => 'alice', address);
      assert.equal(waitOf(throttle, 'alice', address), 0);
      fail(throttle, 1, () => 'bob', address);
      assert.equal(waitOf(throttle, 'alice', address), 4);
      assert.equal(waitOf(throttle, undefined, address), 0, 'robots have a counter of their own');
      fail(throttle, 30, () => undefined, address);
      assert.equal(waitOf(throttle, undefined, address), 4);
      assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 0);
      assert.equal(waitOf(throttle, undefined, '192.0.2.1'), 0);
    }
  });

  it('forgets a failure after ten seconds', (t) => {
    const { advance } = clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 10, () => 'alice', '192.0.2.1');
    advance(9);
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 1);
    advance(1);
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 0);
  });

  it('keeps 10,000 counters, and drops the oldest', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 10, () => 'alice', '192.0.2.1');
    assert.ok(waitOf(throttle, 'alice', '192.0.2.1') > 0);
    for (let i = 0; i < 10_000; i++) throttle.failed(undefined, `10.0.${i >> 8}.${i % 256}`);
    assert.equal(waitOf(throttle, 'alice', '192.0.2.1'), 0);
  });
});
