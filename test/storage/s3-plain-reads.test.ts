import assert from 'node:assert/strict';
import { it } from 'node:test';
import { HttpExchanges } from '../../lib/storage/http-exchanges.ts';
import { S3Access } from '../../lib/storage/s3-access.ts';
import { PlainReads } from '../../lib/storage/s3-plain-reads.ts';

it('a read that gets no connection is left to the SDK, which tells why, and does not wait for the system to give up', async () => {
  const load = () => assert.fail('the SDK is not needed for the address');
  const options = {
    bucket: 'bucket',
    keyPrefix: '',
    region: 'us-east-1',
    endpoint: 'http://s3.test',
    forcePathStyle: true,
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
  };
  // The connection is never made, as where a firewall drops its packets.
  const exchanges = new HttpExchanges({ lookup: () => undefined });
  const reads = new PlainReads(new S3Access(options, { load, loaded: () => undefined }), exchanges);
  assert.equal(await reads.object('GET', 'key'), undefined);
});
