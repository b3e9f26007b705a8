import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tar } from '../support/tar.ts';
import type { Target } from './bad-requests.ts';
import { BlobPush } from './blob-push.ts';
import { newChain } from './content.ts';
import { exchange, locationOf, type Send } from './exchange.ts';
import { Ledger } from './ledger.ts';
import { V1Push, V2Push } from './pushes.ts';
import type { Random } from './random.ts';

/** Fills a registry with what bad requests can meet, and a bystander whom they must leave alone. */
export async function makeTarget(random: Random, send: Send): Promise<{ target: Target; bystanderTag: string }> {
  const [repository, bystander] = ['bad/app', 'bystander/app'];
  const ledger = new Ledger();
  const bystanderTag = 'kept';
  await new V2Push(random, { repository: bystander, tags: [bystanderTag], layerSizes: [5000] }).run(send, ledger);
  await new V1Push(bystander, 'old', newChain(random, [5000, 5000])).run(send, ledger);
  // What the first reader of the one protocol has made of what the other has pushed.
  await exchange(send, [200], 'GET', `/v2/${bystander}/manifests/old`);
  await exchange(send, [200], 'GET', `/v1/repositories/${bystander}/tags`);
  await exchange(send, [200], 'GET', `/v1/repositories/${bystander}/images`);
  return {
    bystanderTag,
    target: {
      repository,
      bystander,
      tags: ['good', 'old'],
      blobs: await pushOddBlobs(random, send, repository),
      manifests: await pushGoodImage(random, send, repository),
      images: await pushGoodChain(random, send, repository),
      sessions: await startSessions(send, repository),
    },
  };
}

/** What a manifest may name as its config or a layer, and should not. */
async function pushOddBlobs(random: Random, send: Send, repository: string): Promise<Target['blobs']> {
  const layer = tar([{ path: 'etc/issue', content: Buffer.from('hello\n') }]);
  const contents = [
    '',
    '{}',
    '[]',
    'null',
    '{"rootfs":1,"config":[],"history":"x","created":{}}',
    'no json',
    '['.repeat(5000),
  ]
    .map((content): Uint8Array => Buffer.from(content))
    .concat([
      random.bytes(3000),
      layer,
      gzipSync(layer),
      gzipSync(layer).subarray(0, 60),
      zstdCompressSync(layer),
      zstdCompressSync(layer).subarray(0, 30),
    ]);
  const blobs: { digest: string; size: number }[] = [];
  for (const bytes of contents) {
    const push = new BlobPush(random, repository, { mediaType: 'x', bytes: Buffer.from(bytes) }, 'put');
    await push.run(send, new Ledger());
    blobs.push({ digest: push.digest, size: bytes.length });
  }
  return blobs;
}

async function pushGoodImage(random: Random, send: Send, repository: string): Promise<string[]> {
  await new V2Push(random, { repository, tags: ['good'], layerSizes: [2000, 10] }).run(send, new Ledger());
  const { headers } = await exchange(send, [200], 'HEAD', `/v2/${repository}/manifests/good`);
  return [headers.get('Docker-Content-Digest') ?? ''];
}

async function pushGoodChain(random: Random, send: Send, repository: string): Promise<string[]> {
  const chain = newChain(random, [100, 5000]);
  await new V1Push(repository, 'old', chain).run(send, new Ledger());
  return chain.map(({ id }) => id);
}

/** Uploads that have just begun, that have bytes, and whose blob is complete but for its name. */
async function startSessions(send: Send, repository: string): Promise<string[]> {
  const start = async () => locationOf(await exchange(send, [202], 'POST', `/v2/${repository}/blobs/uploads/`));
  const patch = async (init: RequestInit) => locationOf(await exchange(send, [202], 'PATCH', await start(), init));
  return [
    await start(),
    await patch({ body: 'abc', headers: { 'Content-Range': '0-2' } }),
    await patch({ body: ReadableStream.from([Buffer.from('abc')]) }),
  ];
}
