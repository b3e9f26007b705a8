import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { LoginThrottle } from '../../lib/auth/login-throttle.ts';
import { RegistryError } from '../../lib/model/errors.ts';

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
    assert.equal(waitOf(throttle, 'alice', '192.0.2.2'), 0);
  });

  it('does not shut out robots at the same address, nor do robots that nobody made shut out users', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    fail(throttle, 30, (index) => `user${index}`, '192.0.2.1');
    assert.equal(waitOf(throttle, undefined, '192.0.2.1'), 0);
    fail(throttle, 30, () => undefined, '192.0.2.2');
    assert.equal(waitOf(throttle, undefined, '192.0.2.2'), 4);
    assert.equal(waitOf(throttle, 'alice', '192.0.2.2'), 0);
  });

  it('is one for all of a /64, which one machine has, and for both forms of an IPv4 address', (t) => {
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

  it('is slowed with one name, from whatever addresses they come, once each has had a guess', (t) => {
    const { advance } = clock(t);
    const throttle = new LoginThrottle();
    for (let i = 0; i < 100; i++) throttle.failed('alice', `192.0.2.${i}`);
    for (let i = 0; i < 100; i++) assert.equal(waitOf(throttle, 'alice', `192.0.2.${i}`), 2);
    assert.equal(waitOf(throttle, 'bob', '192.0.2.1'), 0);
    assert.equal(waitOf(throttle, 'alice', undefined), 2, 'where addresses are not known');
    advance(60);
    for (let i = 0; i < 100; i++) throttle.failed('alice', `198.51.100.${i}`);
    assert.ok(waitOf(throttle, 'alice', '192.0.2.1') > 0, 'a guess long ago was one as well');
  });

  it('does not shut out the user whom they try, at an address where she never mistyped', (t) => {
    clock(t);
    const throttle = new LoginThrottle();
    for (let i = 0; i < 1000; i++) throttle.failed('alice', `192.0.${i >> 8}.${i % 256}`);
    throttle.failed('bob', '203.0.113.1');
    assert.equal(waitOf(throttle, 'alice', '203.0.113.1'), 0);
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
