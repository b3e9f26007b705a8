import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { it } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { createAgents } from '../../lib/storage/s3-agents.ts';
import { S3Clients } from '../../lib/storage/s3-client.ts';
import { BLOCK_BYTES } from '../../lib/streams/block-pool.ts';
import { MiB } from '../../lib/streams/bytes.ts';

it('the body of an upload is written in blocks, so that TLS holds no second copy of a part', async (t) => {
  const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };
  const clients = new S3Clients(
    { bucket: 'bucket', keyPrefix: '', credentials },
    createAgents(),
    async () => 'us-east-1',
  );
  t.after(() => clients.destroy());
  const sent: unknown[] = [];
  clients.uploads.middlewareStack.add(
    () =>
      async ({ request }) => {
        sent.push((request as { body: unknown }).body);
        throw new Error('nothing is sent');
      },
    { step: 'deserialize', priority: 'low' },
  );
  const Body = Buffer.alloc(12 * MiB + 1, 'stowage');
  await assert.rejects(
    clients.uploads.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'key', Body })),
    /nothing is sent/,
  );

  const [body] = sent;
  assert(body instanceof Readable);
  const hash = createHash('md5');
  let largest = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    hash.update(chunk);
    largest = Math.max(largest, chunk.length);
  }
  assert.equal(largest, BLOCK_BYTES);
  assert.equal(hash.digest('hex'), createHash('md5').update(Body).digest('hex'));
});
