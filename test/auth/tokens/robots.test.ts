import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FRESH_MS, Robots } from '../../../lib/auth/tokens/robots.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';

const RIGHTS = { name: 'ci', repositories: ['*'], actions: ['pull' as const], expiresAt: undefined };

let storage: OpenedStorage;
before(async () => {
  storage = await openFiles();
});
after(() => storage.close());

/** Robots of one process, with a count of the objects that it reads. */
function open() {
  const counted = { reads: 0 };
  const driver = alterDriver(storage.driver, (original) => ({
    async read(key) {
      counted.reads++;
      return await original.read(key);
    },
  }));
  return { counted, robots: new Robots(driver) };
}

test('simultaneous logins of one robot share one storage request', async () => {
  const { counted, robots } = open();
  const { token } = await robots.create(RIGHTS);
  const found = await Promise.all(Array.from({ length: 10 }, () => robots.find(token)));
  assert.ok(found.every((bearer) => bearer?.subject === 'robot:ci'));
  assert.equal(counted.reads, 1);
});

test('a made-up id costs one storage request in half a minute', async () => {
  const { counted, robots } = open();
  const madeUp = `stowage_${crypto.randomUUID()}_${'A'.repeat(43)}`;
  for (let i = 0; i < 3; i++) assert.equal(await robots.find(madeUp), undefined);
  assert.equal(counted.reads, 1);
});

test('another process refuses a revoked robot after half a minute', async (t) => {
  const { robots } = open();
  const { robot, token } = await robots.create(RIGHTS);
  assert.ok(await robots.find(token));
  await open().robots.revoke(robot.id);
  assert.ok(await robots.find(token));
  await sleep(5); // the cache reads the clock once in a millisecond
  const later = Date.now() + FRESH_MS + 1;
  t.mock.method(Date, 'now', () => later);
  assert.equal(await robots.find(token), undefined);
  assert.equal(robots.isKnown(token), false);
});
