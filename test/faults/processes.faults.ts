// Several servers on one directory or bucket: replicas, a rolling restart, containers in which each is process 1.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { KiB } from '../../lib/streams/bytes.ts';
import { type Backend, backends, openS3Backend } from '../e2e/backends.ts';
import { useCleanup } from '../e2e/cleanup.ts';
import { reportLogOfFailure, type Stowage, startStowage } from '../e2e/stowage.ts';
import { startConditionalDeleteProxy } from '../storage/conditional-delete-proxy.ts';
import { digestOf } from '../v2/client.ts';
import { newChain, OCI_MANIFEST } from './content.ts';
import { exchange, type Send, sendTo } from './exchange.ts';
import { Inspector } from './inspector.ts';
import { Ledger } from './ledger.ts';
import { type Push, V1Push, V2Push } from './pushes.ts';
import { type Random, randomOf } from './random.ts';
import { openBehind, withFaultSettings } from './registry-under-fault.ts';
import { bySize } from './size.ts';

const KILLS = bySize({ short: 6, long: 100 });
const MOVES = bySize({ short: 60, long: 1500 });
const PUSHES_AT_ONCE = 4;
/** A push on a key whose lock a killed server has left waits for two seconds. */
const MAX_PUSH_MS = 30_000;

const [local] = backends;
assert.ok(local);

describe('two servers', { timeout: 600_000 }, () => {
  let servers: Stowage[] = [];
  afterEach((t) => {
    for (const server of servers) reportLogOfFailure(t, server);
  });

  type AtEnd = (end: () => unknown) => void;

  async function start(atEnd: AtEnd, opening: Promise<Backend>, { count = 2, isPidOne = false, workers = 1 } = {}) {
    const { env, ...opened } = withFaultSettings(await opening);
    const backend = { ...opened, env: { ...env, STOWAGE_WORKERS: String(workers) } };
    atEnd(() => backend.close());
    servers = [];
    for (let index = 0; index < count; index++) {
      const server = await startStowage(backend, { isPidOne });
      atEnd(() => server.stop());
      servers.push(server);
    }
    return { backend, sends: servers.map(({ url }) => sendOnlyTo(url)) };
  }

  test(`on one directory, each with pid 1, lose no acknowledged push in ${KILLS} kills of either`, async (t) => {
    const atEnd = useCleanup((end) => t.after(end));
    const random = randomOf(t);
    const { backend, sends } = await start(atEnd, local.open(), { isPidOne: true });
    const storage = await openBehind(backend);
    atEnd(() => storage.close());
    const ledger = new Ledger();
    let interrupted = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const own = random.branch(kill);
      const pushes = Array.from({ length: PUSHES_AT_ONCE }, (_, index) =>
        newPush(own.branch(index), `${kill}-${index}`),
      );
      const running = Promise.allSettled(pushes.map((push, index) => push.run(pick(sends, index), ledger)));
      await sleep(own.fraction() * 400);
      await pick(servers, kill).kill();
      await running;
      const unfinished = pushes.filter(({ isDone }) => !isDone);
      interrupted += unfinished.length;
      const survivor = pick(sends, kill + 1);
      const began = performance.now();
      for (const push of unfinished) await push.run(survivor, ledger);
      assert.ok(performance.now() - began < MAX_PUSH_MS, 'what a killed server left is in the way');
      await pick(servers, kill).restart();
      await ledger.assertShownBy(new Inspector(pick(sends, kill), storage));
    }
    t.diagnostic(`${interrupted} pushes were interrupted; acknowledged: ${JSON.stringify(ledger.size)}`);
  });

  const deleting: { title: string; open: () => Promise<Backend>; count: number; workers?: number }[] = [
    { title: 'two servers on one directory', open: () => local.open(), count: 2 },
    {
      title: 'two on a bucket that keeps If-Match on DELETE',
      open: () => openS3Backend({ front: startConditionalDeleteProxy }),
      count: 2,
    },
    { title: 'one on a bucket that ignores it', open: () => openS3Backend(), count: 1 },
    { title: 'one of three workers on a bucket that ignores it', open: () => openS3Backend(), count: 1, workers: 3 },
    { title: 'one of three workers on a directory', open: () => local.open(), count: 1, workers: 3 },
  ];
  for (const { title, open, count, workers = 1 } of deleting) {
    test(`${title}: a tag that moves is never lost by deletes of its former manifest`, async (t) => {
      const atEnd = useCleanup((end) => t.after(end));
      const random = randomOf(t);
      const { sends } = await start(atEnd, open(), { count, workers });
      const [pusher = assert.fail(), remover = pusher] = sends;
      await new V2Push(random, { repository: 'moving/app', tags: ['base'], layerSizes: [100] }).run(
        pusher,
        new Ledger(),
      );
      const { body } = await exchange(pusher, [200], 'GET', '/v2/moving/app/manifests/base');
      const base = JSON.parse(body.toString()) as object;
      let previous: string | undefined;
      const statuses = new Map<number, number>();
      for (let move = 0; move < MOVES; move++) {
        const next = Buffer.from(JSON.stringify({ ...base, annotations: { move: String(move) } }));
        const headers = { 'Content-Type': OCI_MANIFEST };
        const pushing = exchange(pusher, [201], 'PUT', '/v2/moving/app/manifests/latest', { body: next, headers });
        const old = previous;
        const removing = old && sleep(random.fraction() * 8).then(() => remove(remover, old, statuses));
        await Promise.all([pushing, removing]);
        const shown = await exchange(remover, [200], 'GET', '/v2/moving/app/manifests/latest');
        assert.equal(digestOf(shown.body), digestOf(next), `move ${move}`);
        previous = digestOf(next);
      }
      t.diagnostic(`deletes were answered ${JSON.stringify(Object.fromEntries(statuses))}`);
    });
  }
});

/** Also where a Location names the other server, which may have been killed: a proxy in front of both would do so. */
function sendOnlyTo(url: string): Send {
  const send = sendTo(url);
  return (method, path, init) => send(method, path.replace(/^https?:\/\/[^/]+/, ''), init);
}

function pick<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}

function newPush(random: Random, name: string): Push {
  if (random.chance(0.3)) return new V1Push('shared/old', `v1-${name}`, newChain(random, [20 * KiB, 2 * KiB]));
  const layerSizes = [2 * KiB, 300 * KiB];
  return new V2Push(random, { repository: 'shared/app', tags: [`tag-${name}`, 'latest'], layerSizes });
}

async function remove(send: Send, digest: string, statuses: Map<number, number>): Promise<void> {
  const { status } = await exchange(send, [202, 404], 'DELETE', `/v2/moving/app/manifests/${digest}`);
  statuses.set(status, (statuses.get(status) ?? 0) + 1);
}
