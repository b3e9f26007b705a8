import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { parseRepositoryName } from '../../lib/model/names.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import { KiB } from '../../lib/streams/bytes.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { codesOf, V2Client, withDigest } from './client.ts';
import { pushImage } from './image.ts';

const QUOTAS = [{ repositories: ['team/*'], limitBytes: 100 * KiB }];

describe('quotas over HTTP', () => {
  let storage: OpenedStorage;
  let servers: RegistryServer[];
  let lines: string[];
  beforeEach(async () => {
    storage = await openFiles();
    servers = [];
    lines = [];
  });
  afterEach(async () => {
    for (const server of servers) await server.stop();
    await storage.close();
  });

  /** A process with the quotas. */
  const start = async (): Promise<{ url: URL; client: V2Client }> => {
    const server = await startRegistry(storage.driver, { quotas: QUOTAS, onLogLine: (line) => lines.push(line) });
    servers.push(server);
    return { url: server.url, client: new V2Client(server.url) };
  };
  const countUsage = async () => {
    const registry = assembleRegistry(storage.driver, {
      copiesLayers: true,
      quotas: { quotas: QUOTAS, log: { warning() {} } as never },
    });
    await registry.usage.run();
  };
  const post = (client: V2Client, repository: string, query = '') =>
    client.send('POST', `/v2/${repository}/blobs/uploads/${query}`);
  const warnings = () => lines.filter((line) => line.includes('"quota":"team/*"')).length;

  it('below the limit a push works, and from 80 % on the log warns once', async () => {
    const { client } = await start();
    await pushImage(client, 'team/app', '1.0', { contents: ['a'] });
    assert.equal(warnings(), 0);
    await client.pushBlob('team/app', randomBytes(85 * KiB));
    await pushImage(client, 'team/app', '2.0', { contents: ['b'] });
    await pushImage(client, 'team/other', '2.0', { contents: ['c'] });
    assert.equal(warnings(), 1);
  });

  it('a full quota refuses uploads and mounts with 403 DENIED, in all of its repositories and no others', async () => {
    const { client } = await start();
    const { digest } = await client.pushBlob('team/app', randomBytes(100 * KiB));
    const monolithic = await client.send('POST', withDigest('/v2/team/app/blobs/uploads/', digest), { body: 'x' });
    for (const refused of [
      await post(client, 'team/app'),
      await post(client, 'team/other', `?mount=${digest}&from=team/app`),
      monolithic,
    ]) {
      assert.equal(refused.status, 403);
      const body = (await refused.clone().json()) as { errors: { message: string; detail: object }[] };
      assert.deepEqual(await codesOf(refused), ['DENIED']);
      assert.match(body.errors[0]?.message ?? '', /team\/\*.*100\.0 KiB of 100\.0 KiB.*delete tags/);
    }
    assert.equal((await post(client, 'free/app', `?mount=${digest}&from=team/app`)).status, 201);
    await pushImage(client, 'free/app', '1.0', { contents: ['a'] });
    assert.equal((await client.send('GET', `/v2/team/app/blobs/${digest}`)).status, 200);
  });

  it('a manifest is refused once its blobs exceed the quota', async () => {
    const { client } = await start();
    const { manifest } = await pushImage(client, 'team/app', '1.0', { contents: ['a'] });
    const started = await client.start('team/app');
    await client.pushBlob('team/app', randomBytes(50 * KiB));
    assert.equal((await client.pushManifest('team/app', '1.1', manifest)).status, 201);
    const { digest } = await client.pushBlob('free/app', randomBytes(60 * KiB));
    assert.equal((await post(client, 'team/other', `?mount=${digest}&from=free/app`)).status, 201);
    const refused = await client.pushManifest('team/app', '1.2', manifest);
    assert.deepEqual([refused.status, await codesOf(refused)], [403, ['DENIED']]);
    assert.equal((await client.send('GET', '/v2/team/app/manifests/1.2')).status, 404);
    assert.equal((await client.send('GET', started)).status, 204);
  });

  it('another process counts what a usage run found, and room that a run found is there again', async () => {
    const { client } = await start();
    const { digest } = await client.pushBlob('team/app', randomBytes(100 * KiB));
    await countUsage();
    const { client: second } = await start();
    assert.equal((await post(second, 'team/other')).status, 403);
    assert.equal((await second.send('DELETE', `/v2/team/app/blobs/${digest}`)).status, 202);
    await countUsage();
    const { client: third } = await start();
    assert.equal((await post(third, 'team/other')).status, 202);
  });

  it('what a usage run of the same process counted holds for the next push', async () => {
    const registry = assembleRegistry(storage.driver, {
      copiesLayers: true,
      quotas: { quotas: QUOTAS, log: { warning() {} } as never },
    });
    const { client } = await start();
    const { digest } = await client.pushBlob('team/app', randomBytes(100 * KiB));
    await registry.usage.run();
    const repository = parseRepositoryName('team/app');
    await assert.rejects(registry.quotas.checkUpload(repository), /team/);
    await client.send('DELETE', `/v2/team/app/blobs/${digest}`);
    await registry.usage.run();
    await registry.quotas.checkUpload(repository);
  });

  it('a usage run stores the sum of what the repositories use', async () => {
    const { client } = await start();
    const image = await pushImage(client, 'team/app', '1.0', { contents: ['a', 'b'] });
    await pushImage(client, 'team/other', '1.0', { contents: ['a'] });
    await countUsage();
    const registry = assembleRegistry(storage.driver, { copiesLayers: true });
    const bytes = await Promise.all(
      ['team/app', 'team/other'].map(async (name) => {
        const summary = await registry.usage.summary(parseRepositoryName(name));
        return summary?.totalBytes ?? 0;
      }),
    );
    assert.ok(image.sizeBytes > 0);
    const object = await storage.driver.read('oci/quotas.json' as never);
    const record = JSON.parse(Buffer.from(object?.bytes ?? []).toString()) as { quotas: object[] };
    const usedBytes = bytes.reduce((sum, one) => sum + one, 0);
    assert.ok(usedBytes > 0);
    assert.deepEqual(record.quotas, [{ repositories: ['team/*'], usedBytes }]);
  });

  it('a push by a v1 client into a full quota is refused when it begins, with the reason', async () => {
    const { client, url } = await start();
    await client.pushBlob('team/app', randomBytes(100 * KiB));
    const put = (repository: string) =>
      fetch(new URL(`/v1/repositories/${repository}/`, url), { method: 'PUT', body: '[]' });
    const refused = await put('team/app');
    assert.equal(refused.status, 403);
    assert.match(((await refused.json()) as { error: string }).error, /team\/\*/);
    assert.equal((await put('free/app')).status, 200);
  });
});
