import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { StorageUnavailableError } from '../../lib/storage/driver.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { newImage, newImageId, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** Error bodies that Docker can read. `send` checks their form for every answer of every suite. */
export function v1ErrorsSuite(name: string, open: OpenStorage): void {
  describe(`v1 errors on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);
    const closed = useRegistry(storage, { settings: { isStandalone: false, indexAccess: {} } });
    const readOnly = useRegistry(storage, { settings: { isReadOnly: true } });
    const complete = newImage();
    const incomplete = newImage();
    before(async () => {
      await registry.push(complete);
      await registry.beginPush(incomplete);
    });

    const rows: [status: number, method: string, path: string, body?: string | Uint8Array][] = [
      [400, 'PUT', `/v1/images/${newImageId()}/json`, 'x'],
      [400, 'GET', `/v1/images/${incomplete.id}/layer`],
      [400, 'PUT', '/v1/repositories/a/b/', '{}'],
      [400, 'PUT', '/v1/repositories/a/b/properties', '[]'],
      [400, 'PUT', '/v1/repositories/a/b/tags/t', '{}'],
      [400, 'PUT', '/v1/repositories/a/..%2f/tags/%00', '"x"'],
      [404, 'GET', '/v1/repositories/a/%ff%fe/tags/t'],
      [400, 'GET', `/v1/repositories/${'a'.repeat(300)}/b/tags/t`],
      [400, 'GET', `/v1/repositories/a/b/tags/${'t'.repeat(300)}`],
      [400, 'POST', '/v1/users/', '{'],
      [404, 'GET', `/v1/images/${newImageId()}/json`],
      [404, 'PUT', `/v1/images/${newImageId()}/layer`, 'x'],
      [404, 'GET', '/v1/images/x/json'],
      [404, 'DELETE', '/v1/repositories/unknown/unknown/'],
      [404, 'GET', '/v1/nothing'],
      [404, 'GET', '/nothing'],
      [405, 'POST', `/v1/images/${complete.id}/json`],
      [405, 'PATCH', '/v1/users/'],
      [405, 'DELETE', '/v1/_ping'],
      [409, 'PUT', `/v1/images/${complete.id}/json`, complete.json],
      [409, 'PUT', `/v1/images/${complete.id}/layer`, 'x'],
      [412, 'PUT', `/v1/images/${incomplete.id}/checksum`],
      [413, 'PUT', `/v1/images/${newImageId()}/json`, Buffer.alloc(5 * MiB, ' ')],
      [413, 'PUT', '/v1/repositories/a/b/tags/t', Buffer.alloc(64 * 1024, ' ')],
      [413, 'PUT', '/v1/repositories/a/b/properties', Buffer.alloc(MiB, ' ')],
    ];
    for (const [status, method, path, body] of rows) {
      it(`${method} ${path.replace(/[a-f0-9]{64}/, '<id>').slice(0, 60)} is ${status} with an object of strings`, async () => {
        const answer = await registry.send(method, path, body === undefined ? {} : { body });
        assert.equal(answer.status, status, answer.text);
        assert.equal(answer.header('Cache-Control'), 'no-cache');
        const { error } = answer.json() as { error: string };
        assert.doesNotMatch(error, /\n|\bat \/|node:|storage\/|\.ts\b/, 'nothing of what is inside');
      });
    }

    it('a 401 has an object of strings', async () => {
      const answer = await closed.send('PUT', `/v1/images/${complete.id}/json`, { body: complete.json });
      assert.deepEqual([answer.status, answer.json()], [401, { error: 'Requires authorization' }]);
    });

    it('a write to a read-only registry has an object of strings', async () => {
      const answer = await readOnly.send('PUT', '/v1/repositories/a/b/', { body: '[]' });
      assert.equal(answer.status, 405);
    });

    for (const [title, error, status] of [
      ['does not answer', new StorageUnavailableError('the bucket sleeps, as the test wanted it'), 503],
      ['fails', new Error('secret details, as the test wanted it'), 500],
    ] as const) {
      describe(`while storage ${title}`, () => {
        const fail = async () => {
          throw error;
        };
        const failing = useRegistry(storage, {
          alter: (driver) =>
            alterDriver(driver, () => ({ get: fail, read: fail, head: fail, put: fail, putStream: fail })),
        });
        const requests: [method: string, path: string, body?: string | Uint8Array][] = [
          ['GET', `/v1/images/${complete.id}/json`],
          ['GET', `/v1/images/${complete.id}/layer`],
          ['GET', '/v1/repositories/a/b/tags/t'],
          ['GET', '/v1/repositories/a/b/images'],
          ['PUT', '/v1/repositories/a/b/', '[]'],
          ['PUT', `/v1/images/${complete.id}/json`, complete.json],
          ['PUT', `/v1/images/${complete.id}/layer`, complete.layer],
        ];
        for (const [method, path, body] of requests) {
          it(`${method} ${path.replace(complete.id, '<id>')} is ${status}, without details of the failure`, async () => {
            const answer = await failing.send(method, path, { mayFail: true, ...(body !== undefined && { body }) });
            assert.equal(answer.status, status);
            assert.doesNotMatch(answer.text, /bucket|secret|wanted/);
            assert.equal(answer.header('Cache-Control'), 'no-cache');
          });
        }
      });
    }
  });
}
