// A disk that is full, on real file systems: one without bytes left, one without inodes.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { KiB, MiB } from '../../lib/streams/bytes.ts';
import { useCleanup } from '../e2e/cleanup.ts';
import { reportLogOfFailure, type Stowage, startStowage } from '../e2e/stowage.ts';
import type { V1Image } from '../support/v1-client.ts';
import { digestOf, withDigest } from '../v2/client.ts';
import { newChain, newLayer, OCI_MANIFEST } from './content.ts';
import { type Answer, exchange, locationOf, type Send, sendTo } from './exchange.ts';
import { Ledger } from './ledger.ts';
import { V1Push, V2Push } from './pushes.ts';
import { type Random, randomOf } from './random.ts';

const run = promisify(execFile);

const FILE_SYSTEMS = [
  { title: 'without bytes left', options: 'size=24m', fill: fillBytes },
  { title: 'without inodes left', options: 'size=64m,nr_inodes=400', fill: fillInodes },
];

for (const { title, options, fill } of FILE_SYSTEMS) {
  describe(`a disk ${title}`, { timeout: 180_000 }, () => {
    test('refuses pushes without a trace, serves and deletes, and accepts pushes again once space is free', async (t) => {
      const atEnd = useCleanup((end) => t.after(end));
      const mount = await mkdtemp(join(tmpdir(), 'stowage-full-'));
      atEnd(() => rm(mount, { recursive: true }));
      await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', mount]);
      atEnd(() => run('umount', [mount]));
      const root = join(mount, 'registry');
      const env = { STORAGE_PATH: root, SECRET_KEY: 'a secret of the tests', LOGLEVEL: 'error' };
      const stowage = await startStowage({ env }, { readyPath: '/healthz' });
      atEnd(() => stowage.stop());
      t.after(() => reportLogOfFailure(t, stowage));

      const random = randomOf(t);
      const send = sendTo(stowage.url);
      const ledger = new Ledger();
      for (const tag of ['one', 'two', 'three']) {
        await new V2Push(random, { repository: 'full/app', tags: [tag], layerSizes: [MiB] }).run(send, ledger);
      }
      const chain = newChain(random, [10 * KiB, 10 * KiB]);
      await new V1Push('full/old', 'latest', chain).run(send, ledger);
      const reads = [
        '/v2/full/app/manifests/one',
        '/v2/full/app/tags/list',
        '/v2/_catalog',
        '/v2/full/old/manifests/latest',
        '/v1/repositories/full/app/tags',
        '/v1/repositories/full/app/images',
        '/v1/repositories/full/old/images',
        `/v1/images/${chain[1]?.id}/json`,
        `/v1/images/${chain[1]?.id}/layer`,
        `/v1/images/${chain[1]?.id}/ancestry`,
      ];
      for (const path of reads) await exchange(send, [200], 'GET', path);
      const [blob] = await blobsOf(send, 'full/app', 'three');

      const { chunked, image } = await beginUploads(random, send);
      await fill(join(mount, 'filler'));
      const before = await filesBelow(root);
      const next = await sendNextChunk(random, send, chunked);
      assert.deepEqual(await readdir(join(root, '.tmp')), [], 'the upload has freed what it held');
      await fill(join(mount, 'filler-again'));
      for (const { what, answer } of [next, ...(await pushEverything(random, send, image))]) {
        assert.equal(answer.status, 507, `${what}: ${answer.body}`);
        assert.match(answer.headers.get('content-type') ?? '', /^application\/json/, what);
        const body = JSON.parse(answer.body.toString()) as { error?: string; errors?: { message: string }[] };
        assert.match(body.error ?? body.errors?.[0]?.message ?? '', /no space left/, what);
      }
      await assertUnready(stowage);
      for (const path of reads) await exchange(send, [200], 'GET', path);
      assert.deepEqual(
        (await filesBelow(root)).filter((path) => !before.includes(path)),
        [],
        'left by refused pushes',
      );
      assert.deepEqual(await readdir(join(root, '.tmp')), [], 'uploads that were under way');

      // An operator's first thought.
      await stowage.kill();
      await stowage.restart();
      await assertUnready(stowage);
      for (const path of reads) await exchange(send, [200], 'GET', path);

      await exchange(send, [202], 'DELETE', '/v2/full/app/manifests/one');
      await exchange(send, [202], 'DELETE', `/v2/full/app/manifests/${await digestAt(send, 'two')}`);
      await exchange(send, [202], 'DELETE', `/v2/full/app/blobs/${blob}`);
      await exchange(send, [200], 'DELETE', '/v1/repositories/full/old/');
      for (const path of ['/v2/full/app/manifests/one', '/v2/full/app/manifests/two', `/v2/full/app/blobs/${blob}`]) {
        await exchange(send, [404], 'GET', path);
      }

      for (const folder of ['filler', 'filler-again']) await rm(join(mount, folder), { recursive: true });
      for (const deadline = Date.now() + 10_000; (await readyz(stowage)).status !== 200; await sleep(100)) {
        assert.ok(Date.now() < deadline, 'it is not ready again');
      }
      await new V2Push(random, { repository: 'full/app', tags: ['four'], layerSizes: [MiB] }).run(send, ledger);
    });
  });
}

async function fillBytes(folder: string): Promise<void> {
  await mkdir(folder);
  for (let sizeBytes = MiB; sizeBytes >= 512; sizeBytes /= 2) {
    for (let number = 0; await canWrite(join(folder, `${sizeBytes}-${number}`), sizeBytes); number++);
  }
  assert.equal((await statfs(folder)).bavail, 0);
}

async function fillInodes(folder: string): Promise<void> {
  await mkdir(folder);
  for (let number = 0; await canWrite(join(folder, String(number)), 0); number++);
}

async function canWrite(path: string, sizeBytes: number): Promise<boolean> {
  try {
    await writeFile(path, new Uint8Array(sizeBytes));
    return true;
  } catch (error) {
    assert.match(String(error), /ENOSPC/);
    return false;
  }
}

const CHUNK_BYTES = (13 * MiB) / 2;

type Begun = { chunked: string; image: V1Image };

/** What was under way when the disk became full. */
async function beginUploads(random: Random, send: Send): Promise<Begun> {
  const first = random.bytes(CHUNK_BYTES);
  const headers = { 'Content-Range': `0-${first.length - 1}` };
  const chunked = locationOf(await exchange(send, [202], 'PATCH', await start(send), { body: first, headers }));
  const [image = assert.fail()] = newChain(random, [100 * KiB]);
  await exchange(send, [200], 'PUT', `/v1/images/${image.id}/json`, { body: new Uint8Array(image.json) });
  return { chunked, image };
}

type Attempt = { what: string; answer: Answer };

const ANY_STATUS = Array.from({ length: 500 }, (_, index) => 100 + index);

async function sendNextChunk(random: Random, send: Send, chunked: string): Promise<Attempt> {
  const body = random.bytes(6 * MiB);
  const headers = { 'Content-Range': `${CHUNK_BYTES}-${CHUNK_BYTES + body.length - 1}` };
  return { what: 'next chunk', answer: await exchange(send, ANY_STATUS, 'PATCH', chunked, { body, headers }) };
}

/** Each way to write, once. */
async function pushEverything(random: Random, send: Send, image: V1Image): Promise<Attempt[]> {
  const answers: Attempt[] = [];
  const attempt = async (what: string, method: string, path: string, init: RequestInit) => {
    answers.push({ what, answer: await exchange(send, ANY_STATUS, method, path, init) });
  };
  for (const sizeBytes of [100 * KiB, 6 * MiB]) {
    const { bytes } = newLayer(random, sizeBytes);
    await attempt(`PUT of ${sizeBytes}`, 'PUT', withDigest(await start(send), digestOf(bytes)), { body: bytes });
    await attempt(`PATCH of ${sizeBytes}`, 'PATCH', await start(send), { body: bytes });
    const headers = { 'Content-Range': `0-${bytes.length - 1}` };
    await attempt(`first chunk of ${sizeBytes}`, 'PATCH', await start(send), { body: bytes, headers });
  }
  const [config, layer] = await descriptorsOf(send, 'full/app', 'three');
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer], annotations: { new: 'yes' } };
  await attempt('manifest', 'PUT', '/v2/full/app/manifests/new', {
    body: JSON.stringify(manifest),
    headers: { 'Content-Type': OCI_MANIFEST },
  });
  await attempt('mount', 'POST', `/v2/full/other/blobs/uploads/?mount=${layer?.digest}&from=full/app`, {});
  const { id, layer: tar } = image;
  await attempt('layer by v1', 'PUT', `/v1/images/${id}/layer`, { body: ReadableStream.from([tar]) });
  const [other = assert.fail()] = newChain(random, [10]);
  const init = { body: new Uint8Array(other.json) };
  await attempt('JSON by v1', 'PUT', `/v1/images/${other.id}/json`, init);
  await attempt('repository by v1', 'PUT', '/v1/repositories/full/new/', { body: JSON.stringify([{ id }]) });
  return answers;
}

async function start(send: Send): Promise<string> {
  return locationOf(await exchange(send, [202], 'POST', '/v2/full/app/blobs/uploads/'));
}

type Descriptor = { digest: string; size: number; mediaType: string };

async function descriptorsOf(send: Send, repository: string, tag: string): Promise<Descriptor[]> {
  const { body } = await exchange(send, [200], 'GET', `/v2/${repository}/manifests/${tag}`);
  const { config, layers } = JSON.parse(body.toString()) as { config: Descriptor; layers: Descriptor[] };
  return [config, ...layers];
}

/** Of its layers. */
async function blobsOf(send: Send, repository: string, tag: string): Promise<string[]> {
  return (await descriptorsOf(send, repository, tag)).slice(1).map(({ digest }) => digest);
}

async function digestAt(send: Send, tag: string): Promise<string> {
  const { headers } = await exchange(send, [200], 'HEAD', `/v2/full/app/manifests/${tag}`);
  return headers.get('Docker-Content-Digest') ?? '';
}

async function readyz({ url }: Stowage): Promise<{ status: number; text: string }> {
  const response = await fetch(`${url}/readyz`);
  return { status: response.status, text: await response.text() };
}

async function assertUnready(stowage: Stowage): Promise<void> {
  const { status, text } = await readyz(stowage);
  assert.equal(status, 503);
  assert.match(text, /no space left/);
  assert.equal((await fetch(`${stowage.url}/healthz`)).status, 200);
}

async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes('/.tmp/'));
}
