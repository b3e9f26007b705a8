import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { type BlindServer, startBlindServer } from '../storage/blind-to-checksums.ts';
import { type Minio, startMinio } from '../support/minio.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { digestOf, locationOf, V2Client, withDigest } from '../v2/client.ts';

const CHUNK_BYTES = 6 * MiB;

describe('on an S3 server that ignores checksums, a blob in chunks', () => {
  let minio: Minio;
  let blind: BlindServer;
  let driver: S3Driver;
  /** Two processes of one registry. */
  let servers: RegistryServer[];
  before(async () => {
    minio = await startMinio();
    blind = await startBlindServer(minio);
    driver = new S3Driver({ ...minio.driverOptions, endpoint: blind.endpoint });
    servers = [await startRegistry(driver), await startRegistry(driver)];
  });
  after(async () => {
    for (const server of servers) await server.stop();
    await driver.close();
    await blind.close();
    await minio.stop();
  });

  const repository = 'blind/app';
  const clients = () => servers.map(({ url }) => new V2Client(url)) as [V2Client, V2Client];
  const patch = async (client: V2Client, location: string, bytes: Uint8Array, start: number) => {
    const response = await client.send('PATCH', location, {
      body: new Uint8Array(bytes),
      headers: { 'Content-Range': `${start}-${start + bytes.length - 1}` },
    });
    assert.equal(response.status, 202);
    return locationOf(response);
  };

  it('is stored by any process that continues it', async () => {
    const [one, other] = clients();
    const chunks = Array.from({ length: 3 }, () => randomBytes(CHUNK_BYTES));
    const whole = Buffer.concat(chunks);
    let location = await one.start(repository);
    for (const [index, chunk] of chunks.entries()) {
      location = await patch(index % 2 === 0 ? one : other, location, chunk, index * CHUNK_BYTES);
    }
    assert.ok(blind.ignored() > chunks.length, 'there were checksums to ignore');
    assert.equal((await other.send('PUT', withDigest(location, digestOf(whole)))).status, 201);
    const got = await one.send('GET', `/v2/${repository}/blobs/${digestOf(whole)}`);
    assert.ok(whole.equals(await got.bytes()));
  });

  it('is made of the parts of its session only', async () => {
    const [client] = clients();
    const [first, second, later] = [1, 2, 3].map(() => randomBytes(CHUNK_BYTES)) as [Buffer, Buffer, Buffer];
    const one = await patch(client, await client.start(repository), first, 0);
    const two = await patch(client, one, second, CHUNK_BYTES);
    await patch(client, one, later, CHUNK_BYTES);
    const digest = digestOf(Buffer.concat([first, second]));
    assert.equal((await client.send('PUT', withDigest(two, digest))).status, 404);
  });
});
