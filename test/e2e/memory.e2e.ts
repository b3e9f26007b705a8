import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SeenRequest, startFaultyProxy } from '../storage/faulty-proxy.ts';
import { backends, openS3Backend } from './backends.ts';
import { bigBlob, pull, pushByPatch, pushByPut } from './big-blob.ts';
import { useCleanup } from './cleanup.ts';
import { reportLogOfFailure, type Stowage, startStowage } from './stowage.ts';

const BLOB_MIB = 2048;
const LIMIT_MIB = 180;
/** For pushes at once: what the server takes without any, and what each of them holds. */
const limitOf = (pushes: number) => 160 + pushes * 28;

for (const { name, open } of backends) {
  describe(`memory of the server, 2 GiB, on ${name}`, () => {
    const atEnd = useCleanup();
    let stowage: Stowage;
    let repositoryUrl: string;

    before(async () => {
      const backend = await open();
      atEnd(() => backend.close());
      stowage = await startStowage(backend);
      atEnd(() => stowage.stop());
      repositoryUrl = `${stowage.url}/v2/memory/test`;
    });
    afterEach((t) => reportLogOfFailure(t, stowage));

    for (const [how, push] of [
      ['PATCH', pushByPatch],
      ['PUT', pushByPut],
    ] as const) {
      test(`pushed by ${how}, and pulled`, async (t) => {
        const blob = await bigBlob(BLOB_MIB, how);
        const { digest } = blob;
        const peaksMiB = [
          await peakMiB(t, 'push', stowage, () => push(repositoryUrl, blob)),
          await peakMiB(t, 'pull', stowage, async () => assert.equal(await pull(repositoryUrl, digest), digest)),
        ];
        assert(Math.max(...peaksMiB) < LIMIT_MIB, `the server took up to ${Math.max(...peaksMiB)} MiB`);
      });
    }

    test('eight pushes at once', async (t) => {
      const blob = await bigBlob(128, 'eight');
      const pushes = () => Promise.all(Array.from({ length: 8 }, () => pushByPatch(repositoryUrl, blob)));
      const peak = await peakMiB(t, 'push', stowage, async () => void (await pushes()));
      assert(peak < limitOf(8), `the server took up to ${peak} MiB`);
    });
  });
}

describe('memory of the server, many concurrent uploads, on S3 that has stopped answering', () => {
  const UPLOADS = 48;
  const AT_ONCE = 8;

  const atEnd = useCleanup();
  let stowage: Stowage;
  const release = Promise.withResolvers<void>();

  before(async () => {
    const backend = await openS3Backend();
    atEnd(() => backend.close());
    const { AWS_HOST, AWS_PORT } = backend.env;
    const proxy = await startFaultyProxy(`http://${AWS_HOST}:${AWS_PORT}`);
    atEnd(() => proxy.close());
    const isPart = ({ method, url }: SeenRequest) => method === 'PUT' && url.includes('partNumber=');
    proxy.fail(isPart, { kind: 'hold', until: release.promise }, Number.POSITIVE_INFINITY);
    const { port } = new URL(proxy.endpoint);
    const env = { ...backend.env, AWS_PORT: port, UPLOADS_AT_ONCE: String(AT_ONCE) };
    stowage = await startStowage({ ...backend, env });
    atEnd(() => stowage.stop());
  });
  afterEach((t) => reportLogOfFailure(t, stowage));

  test('is bounded by the number of upload slots', async (t) => {
    const blob = await bigBlob(48, 'many');
    const pushes = Array.from({ length: UPLOADS }, () => pushByPatch(`${stowage.url}/v2/memory/test`, blob));
    const ended = Promise.allSettled(pushes); // pushes that wait too long are refused
    const peak = await peakMiB(t, `${UPLOADS} uploads`, stowage, () => sleep(15_000));
    release.resolve();
    await ended;
    assert(peak < limitOf(AT_ONCE), `the server took up to ${peak} MiB`);
  });
});

/** The most memory that the server held at any moment of `work`, which is printed with how long that took. */
async function peakMiB(t: TestContext, what: string, { pid }: Stowage, work: () => Promise<void>): Promise<number> {
  await writeFile(`/proc/${pid()}/clear_refs`, '5'); // the peak starts anew: proc_pid_clear_refs(5)
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const peakKiB = Number(/^VmHWM:\s*(\d+) kB$/m.exec(await readFile(`/proc/${pid()}/status`, 'utf8'))?.[1]);
  const peak = Math.ceil(peakKiB / 1024);
  t.diagnostic(`${what}: peak ${peak} MiB in ${seconds.toFixed(1)} s`);
  return peak;
}
