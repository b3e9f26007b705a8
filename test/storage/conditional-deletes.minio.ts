import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { type Minio, startMinio } from '../support/minio.ts';
import { type ConditionalDeleteProxy, startConditionalDeleteProxy } from './conditional-delete-proxy.ts';
import { type FaultyProxy, startFaultyProxy } from './faulty-proxy.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const freshKey = () => `repositories/a/b/tag_${randomUUID()}` as Key;
const ROUNDS = 100;

describe('conditional deletes', { timeout: 120_000 }, () => {
  let minio: Minio;
  /** Forwards to MinIO, which ignores the condition. */
  let plain: FaultyProxy;
  /** Honors the condition, as AWS does. */
  let keeping: ConditionalDeleteProxy;
  const drivers: S3Driver[] = [];
  before(async () => {
    minio = await startMinio();
    plain = await startFaultyProxy(minio.endpoint);
    keeping = await startConditionalDeleteProxy(minio);
  });
  after(async () => {
    for (const driver of drivers) await driver.close();
    await plain.close();
    await keeping.close();
    await minio.stop();
  });
  const open = (endpoint: string) => {
    const driver = new S3Driver({ ...minio.driverOptions, endpoint });
    drivers.push(driver);
    return driver;
  };

  /** Replaces and deletes one object at once, many times. @returns how many acknowledged puts are lost */
  async function countLost(pusher: S3Driver, remover: S3Driver): Promise<number> {
    const at = freshKey();
    let lost = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const before = await pusher.put(at, bytes(`before ${round}`));
      assert.ok(before);
      const [after] = await Promise.all([
        pusher.put(at, bytes(`after ${round}`)),
        remover.delete(at, { ifMatch: before }),
      ]);
      if ((await pusher.head(at))?.etag !== after) lost++;
    }
    return lost;
  }

  test('one process loses no put, also if the server ignores the condition', async () => {
    const driver = open(minio.endpoint);
    assert.equal(await countLost(driver, driver), 0);
  });

  test('two processes lose no put if the server honors the condition', async () => {
    assert.equal(await countLost(open(keeping.endpoint), open(keeping.endpoint)), 0);
  });

  test('the driver probes the server once, and reports that it ignores the condition', async () => {
    assert.match((await open(minio.endpoint).findLimitations()).join(), /^this S3 server ignores If-Match on DELETE/);
    const driver = open(keeping.endpoint);
    assert.deepEqual(await driver.findLimitations(), []);
    assert.deepEqual(
      keeping.requests.slice(-3).map((request) => request.slice(0, request.indexOf(' '))),
      ['PUT', 'DELETE', 'DELETE'],
    );
    for await (const { key } of driver.list('oci/uploads/' as KeyPrefix)) assert.fail(`${key} is left`);
  });

  test('a delete takes one request if the server honors the condition, otherwise two', async () => {
    for (const { proxy, count } of [
      { proxy: keeping, count: 1 },
      { proxy: plain, count: 2 },
    ]) {
      const driver = open(proxy.endpoint);
      await driver.findLimitations();
      const at = freshKey();
      const first = await driver.put(at, bytes('first'));
      const second = await driver.put(at, bytes('second'));
      assert.ok(first && second);
      assert.equal(await driver.delete(at, { ifMatch: first }), false);
      const before = proxy.requests.length;
      assert.equal(await driver.delete(at, { ifMatch: second }), true);
      assert.equal(proxy.requests.length - before, count);
      assert.equal(await driver.head(at), undefined);
      assert.equal(await driver.delete(at, { ifMatch: second }), true);
    }
  });

  test('credentials that may not write are not reported as a shortcoming', async () => {
    plain.fail(({ method }) => method === 'PUT', { kind: 'refuse', status: 403, code: 'AccessDenied' });
    assert.deepEqual(await open(plain.endpoint).findLimitations(), []);
    assert.equal(plain.requests.length, 1);
  });

  test('a server that was unavailable at the first probe is probed again', async () => {
    const driver = open(plain.endpoint);
    plain.fail(({ method }) => method === 'DELETE', { kind: 'refuse', status: 503, code: 'SlowDown' }, 5);
    assert.deepEqual(await driver.findLimitations(), []);
    plain.heal();
    assert.equal((await driver.findLimitations()).length, 1);
  });

  test('AWS is not probed', async () => {
    const { endpoint: _, ...options } = minio.driverOptions;
    const driver = new S3Driver(options);
    drivers.push(driver);
    assert.deepEqual(await driver.findLimitations(), []);
  });
});
