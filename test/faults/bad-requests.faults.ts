import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { backends } from '../e2e/backends.ts';
import { useCleanup } from '../e2e/cleanup.ts';
import { reportLogOfFailure, type Stowage, startStowage } from '../e2e/stowage.ts';
import { type BadRequest, badRequests, encodeBadRequest, targetOf } from './bad-requests.ts';
import { problemOf } from './error-form.ts';
import { sendTo } from './exchange.ts';
import { pull } from './insistence.ts';
import { allEnded } from './pushes.ts';
import { numberOfSeed, randomOf } from './random.ts';
import { RawConnection } from './raw-connection.ts';
import { openBehind, withFaultSettings } from './registry-under-fault.ts';
import { bySize } from './size.ts';
import { makeTarget } from './target.ts';
import { Territory } from './territory.ts';

/** To each backend. */
const REQUESTS = bySize({ short: 3000, long: 100_000 });
const ROUNDS = 20;
const ATTACKERS = 16;
/** Between the first half, in which caches fill, and the end. */
const MAX_GROWTH_MIB = 32;

for (const kind of backends) {
  describe(`bad requests on ${kind.name}`, () => {
    const atEnd = useCleanup();
    let stowage: Stowage | undefined;
    afterEach((t) => stowage && reportLogOfFailure(t, stowage));

    test(`${REQUESTS} of them: no 5xx, no crash, no growth of memory, and no object of another repository written`, async (t) => {
      const random = randomOf(t);
      const outside = await mkdtemp(join(tmpdir(), 'bad-requests-'));
      atEnd(() => rm(outside, { recursive: true }));
      const opened = await kind.open();
      atEnd(() => opened.close());
      const isOnDisk = kind.name === 'local';
      const inside = join(outside, 'a', 'storage');
      const backend = withFaultSettings(opened, isOnDisk ? { STORAGE_PATH: inside } : {});
      stowage = await startStowage(backend);
      atEnd(() => stowage?.stop());
      const storage = await openBehind(backend);
      atEnd(() => storage.close());
      const send = sendTo(stowage.url);
      const { target, bystanderTag } = await makeTarget(random, send);
      const territory = new Territory(storage, target);
      await territory.remember();

      const { port } = stowage;
      const pid = stowage.pid();
      const answers = new Map<number, number>();
      const attack = async (seed: number, numRuns: number) => {
        const connection = new RawConnection(port);
        const survives = async (request: BadRequest) => {
          const bytes = encodeBadRequest(request);
          const answer = await connection.exchange(bytes, request);
          answers.set(answer?.status ?? 0, (answers.get(answer?.status ?? 0) ?? 0) + 1);
          assert.equal(problemOf(request, answer), undefined);
          // Of a damaged request the refusal may be that of what came behind it.
          if (!request.isWhole || (answer && answer.status < 300)) territory.allow(targetOf(bytes));
        };
        await fc.assert(fc.asyncProperty(badRequests(target), survives), { seed, numRuns });
        connection.close();
      };
      const memoryMiB: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const runs = Math.ceil(REQUESTS / ROUNDS / ATTACKERS);
        const seeds = Array.from({ length: ATTACKERS }, (_, index) => numberOfSeed(random.branch(`${round} ${index}`)));
        await allEnded(seeds.map((seed) => attack(seed, runs)));
        memoryMiB.push(await residentMiB(pid));
        await territory.assertKept();
      }

      t.diagnostic(
        `answers by status: ${JSON.stringify(Object.fromEntries([...answers].toSorted(([a], [b]) => a - b)))}`,
      );
      t.diagnostic(`memory after each round, in MiB: ${memoryMiB.join(' ')}`);
      const growth = median(memoryMiB.slice(-ROUNDS / 4)) - median(memoryMiB.slice(ROUNDS / 4, ROUNDS / 2));
      assert(growth < MAX_GROWTH_MIB, `the server grew by ${growth} MiB`);
      assert.equal(stowage.pid(), pid);
      await pull(target.bystander, bystanderTag, send, new Map());
      if (isOnDisk) {
        const found = await readdir(outside, { recursive: true });
        assert.deepEqual(found.filter((path) => !path.startsWith('a/storage/')).toSorted(), ['a', 'a/storage']);
      } else {
        assert.deepEqual(
          (await opened.keys()).filter((key) => key.startsWith('..')),
          [],
        );
      }
    });
  });
}

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]) / 1024);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
