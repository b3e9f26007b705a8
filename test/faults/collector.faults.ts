// Clients push, pull, move and delete while collectors run, with seconds for days, and while servers are suspended and killed.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Key, type KeyPrefix, layout, parseBlobRecord } from '../../lib/model/layout.ts';
import { Collector } from '../../lib/registry/collector/collector.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { KiB, MiB } from '../../lib/streams/bytes.ts';
import { type Backend, type BackendKind, backends } from '../e2e/backends.ts';
import { useCleanup } from '../e2e/cleanup.ts';
import { answers, ServerProcess } from '../e2e/server-process.ts';
import { freePort } from '../support/free-port.ts';
import { ChaosClient } from './chaos-client.ts';
import { chaosStages, TIMES } from './chaos-times.ts';
import { newLayer } from './content.ts';
import { sendTo } from './exchange.ts';
import { type Random, randomOf } from './random.ts';
import { bySize } from './size.ts';

const SECONDS = bySize({ short: 25, long: 600 });
const CLIENTS = 32;
const REPOSITORIES = ['chaos/a', 'chaos/b', 'chaos/c', 'chaos/deep/d'];
const LAYER_SIZES = [0, 1, 100, 3 * KiB, 20 * KiB, 100 * KiB, 100 * KiB, 300 * KiB, MiB, 5 * MiB];

for (const kind of backends) {
  describe(`collectors beside ${CLIENTS} clients, on ${kind.name}`, () => {
    const atEnd = useCleanup();

    test(`lose nothing in ${SECONDS} s of kills and pauses, and leave nothing that is not referenced`, async (t) => {
      const random = randomOf(t);
      const backend = await kind.open();
      atEnd(() => backend.close());
      const servers = await startServers(kind, backend, atEnd);
      const violations: string[] = [];
      const layers = LAYER_SIZES.map((sizeBytes, index) => newLayer(random.branch(`layer ${index}`), sizeBytes));
      const options = {
        servers: servers.map(({ url }) => sendTo(url)),
        ...{ repositories: REPOSITORIES, layers, reliesMs: TIMES.graceMs - TIMES.lookMs },
        report: (violation: string) => void violations.push(violation),
      };
      const clients = Array.from(
        { length: CLIENTS },
        (_, index) =>
          new ChaosClient(
            random.branch(`client ${index}`),
            `c${index}`,
            REPOSITORIES[index % REPOSITORIES.length] ?? '',
            options,
          ),
      );

      const over = AbortSignal.timeout(SECONDS * 1000);
      const disturbing = disturb(random.branch('faults'), servers, over);
      await Promise.all(clients.map((client) => client.run(over)));
      const faults = await disturbing;

      const digests = (await Promise.all(clients.map((client) => client.pullAll()))).flat();
      const done = Map.groupBy(
        clients.flatMap(({ counts }) => [...counts]),
        ([what]) => what,
      );
      const sums = [...done].map(([what, counts]) => `${what} ${counts.reduce((sum, [, count]) => sum + count, 0)}`);
      t.diagnostic(`${faults.kills} kills, ${faults.pauses} pauses; ${sums.join(', ')}; tags left: ${digests.length}`);
      assert.deepEqual(violations, []);

      for (const server of servers) await server.stop();
      const storage = await backend.openDriver();
      atEnd(() => storage.close());
      await assertClean(storage);
      await collectAll(storage);
      await assertClean(storage);
      const { storedBytes, linkedBytes } = await sizesOf(storage);
      t.diagnostic(`${storedBytes} bytes are stored, ${linkedBytes} of them linked`);
      assert.ok(storedBytes <= linkedBytes * 1.01, `${storedBytes} bytes are stored, ${linkedBytes} are linked`);
    });
  });
}

type ChaosServer = {
  url: string;
  pid(): number;
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
};

/** On disk one process owns the directory; a bucket has two. */
async function startServers(
  kind: BackendKind,
  backend: Backend,
  atEnd: (end: () => unknown) => void,
): Promise<ChaosServer[]> {
  const directory = await mkdtemp(join(tmpdir(), 'chaos-'));
  atEnd(() => rm(directory, { recursive: true }));
  const secret = 'chaos'.repeat(8);
  const count = kind.name === 'local' ? 1 : 2;
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const start = () =>
        ServerProcess.start({
          command: process.execPath,
          args: [join(import.meta.dirname, 'chaos-server.ts'), String(port)],
          env: { ...backend.env, SECRET_KEY: secret, V1_LAYERS: 'link' },
          log: join(process.env.CHAOS_LOGS ?? directory, `server-${kind.name}-${index}.log`),
          isReady: () => answers(`${url}/healthz`),
        });
      let server = await start();
      atEnd(() => server.kill());
      return {
        url,
        pid: () => server.pid,
        kill: () => server.kill(),
        async restart() {
          server = await start();
        },
        stop: () => server.kill(),
      };
    }),
  );
}

/** Suspends and kills servers, one at a time, until the end. */
async function disturb(random: Random, servers: readonly ChaosServer[], over: AbortSignal) {
  const faults = { kills: 0, pauses: 0 };
  while (!over.aborted) {
    await sleep(random.between(500, 4000));
    const server = random.pick(servers);
    if (random.chance(0.3)) {
      faults.kills++;
      await server.kill();
      await sleep(random.between(0, 1000));
      await server.restart();
    } else {
      faults.pauses++;
      process.kill(server.pid(), 'SIGSTOP');
      await sleep(random.between(100, TIMES.graceMs + 1000));
      process.kill(server.pid(), 'SIGCONT');
    }
  }
  return faults;
}

/** Runs a collector until it finds nothing more: manifests go first, then their links, then bytes. */
async function collectAll(storage: StorageDriver): Promise<void> {
  const registry = assembleRegistry(storage, { copiesLayers: false, times: TIMES });
  const collector = new Collector(storage, { stages: chaosStages(registry), times: TIMES, abandonedMs: 0 });
  await sleep(TIMES.minAgeMs + TIMES.graceMs);
  for (let quiet = 0; quiet < 3; ) {
    const outcome = await collector.collect();
    assert.equal(outcome.kind, 'complete', JSON.stringify(outcome));
    console.log(JSON.stringify(outcome), JSON.stringify(await collector.state()).slice(0, 600));
    const { actions } = outcome.kind === 'complete' ? outcome.report : assert.fail();
    quiet = Object.keys(actions).length === 0 ? quiet + 1 : 0;
    await sleep(TIMES.graceMs + 1100);
  }
}

async function assertClean(storage: StorageDriver): Promise<void> {
  const registry = assembleRegistry(storage, { copiesLayers: false, times: TIMES });
  const errors: unknown[] = [];
  await registry.fsck.run({
    level: 'bytes',
    onFinding: (finding) => {
      if (finding.severity === 'error') errors.push(finding);
    },
  });
  assert.deepEqual(errors, []);
}

/** Of all bytes of blobs, and of those of digests that a link names. */
async function sizesOf(storage: StorageDriver): Promise<{ storedBytes: number; linkedBytes: number }> {
  const linked = new Map<string, number>();
  for await (const { key } of storage.list(layout.ociRepositories())) {
    const [, algorithm, hex] = /\/blobs\/(sha256)\/([a-f0-9]{64})$/.exec(key) ?? [];
    if (algorithm === undefined) continue;
    const link = await storage.read(key);
    const { size, gone } = JSON.parse(Buffer.from(link?.bytes ?? []).toString()) as { size?: number; gone?: string };
    if (gone === undefined && size !== undefined) linked.set(`${algorithm}:${hex}`, size);
  }
  let storedBytes = 0;
  for await (const { key, sizeBytes } of storage.list(layout.blobs())) {
    if (parseBlobRecord(key as Key)?.kind === 'copy') storedBytes += sizeBytes;
  }
  for await (const { sizeBytes } of storage.list(layout.allData() as KeyPrefix)) storedBytes += sizeBytes;
  return { storedBytes, linkedBytes: [...linked.values()].reduce((sum, size) => sum + size, 0) };
}
