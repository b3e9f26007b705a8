// A process that uses a directory: `node directory-user.ts <root> <task> <rounds>`. It writes a line of JSON after each change
// that storage has acknowledged, so a killed process reports at most one change too few.
import { writeSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Key } from '../../lib/model/layout.ts';
import { FilesDriver } from '../../lib/storage/files.ts';

const [root = '', task = '', roundsText = ''] = process.argv.slice(2);
const rounds = Number(roundsText);
const driver = await FilesDriver.open(root);
const key = (text: string) => text as Key;
const COUNTER = key('counter/value');
const TAG = key('repositories/a/b/tag_latest');

const acknowledge = (line: unknown) => writeSync(1, `${JSON.stringify(line)}\n`);

/** Adds 1 to a number, on the condition that it is still the one that was read. */
async function count(): Promise<void> {
  for (let round = 0; round < rounds; ) {
    const object = await driver.read(COUNTER);
    const value = object ? Number(Buffer.from(object.bytes).toString()) : 0;
    const condition = object ? { ifMatch: object.info.etag } : { ifAbsent: true };
    if (!(await driver.put(COUNTER, Buffer.from(String(value + 1)), condition))) continue;
    acknowledge(value + 1);
    round++;
  }
}

/** Puts one tag again and again; no other process does. It may be missing afterwards only if `remove` has reported a delete. */
async function push(): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const etag = await driver.put(TAG, Buffer.from(String(round)));
    const seen = await driver.head(TAG);
    acknowledge({ etag, isThere: seen?.etag === etag });
  }
}

/** Reads the tag and deletes it on the condition that it is unchanged, until the process is killed. */
async function remove(): Promise<void> {
  for (;;) {
    const info = await driver.head(TAG);
    if (!info) {
      await sleep(1);
    } else if (await driver.delete(TAG, { ifMatch: info.etag })) {
      acknowledge({ deleted: info.etag });
    }
  }
}

/** Puts and deletes objects in one folder, which exists only while it has objects. */
async function flicker(): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const at = key(`folder/deep/${process.pid}-${round}`);
    await driver.put(at, Buffer.from('x'));
    if (!(await driver.head(at))) throw new Error(`${at} is not there after its put`);
    await driver.delete(at);
    const upload = await driver.createMultipart(at);
    await driver.uploadPart(upload, 1, Buffer.from('x'));
    await driver.completeMultipart(upload, (await driver.listParts(upload)) ?? []);
    await driver.delete(at);
  }
  acknowledge(rounds);
}

/** Uploads that two processes write to: `share` starts them, `meddle` writes parts into all that it finds. */
async function share(): Promise<void> {
  let completed = 0;
  for (let round = 0; round < rounds; round++) {
    const at = key(`shared/${round}`);
    const upload = await driver.createMultipart(at);
    acknowledge(upload);
    const part = await driver.uploadPart(upload, 1, Buffer.from('x'));
    await sleep(2);
    if (round % 2 === 0) await driver.abortMultipart(upload);
    // Its part may be replaced meanwhile, a few times.
    for (let parts = part && [part]; round % 2 === 1 && parts; ) {
      if (await driver.completeMultipart(upload, parts)) break;
      parts = await driver.listParts(upload);
    }
    if (await driver.head(at)) completed++;
  }
  acknowledge(completed);
}

async function meddle(): Promise<void> {
  const folder = join(root, '.tmp');
  for (const times = new Map<string, number>(); ; ) {
    await sleep(1);
    for (const uploadId of await readdir(folder)) {
      const at = await readFile(join(folder, uploadId, 'key'), 'utf8').catch(() => undefined);
      const before = times.get(uploadId) ?? 0;
      if (at === undefined || before === 3) continue;
      times.set(uploadId, before + 1);
      await driver.uploadPart({ key: key(at), uploadId }, 1, Buffer.from('x'));
    }
  }
}

const tasks: Record<string, () => Promise<void>> = { count, push, remove, flicker, share, meddle };
await tasks[task]?.();
