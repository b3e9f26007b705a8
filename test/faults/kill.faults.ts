import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { KiB, MiB } from '../../lib/streams/bytes.ts';
import { type BackendKind, backends } from '../e2e/backends.ts';
import { useCleanup } from '../e2e/cleanup.ts';
import { reportLogOfFailure, type Stowage, startStowage } from '../e2e/stowage.ts';
import { newChain, newLayer } from './content.ts';
import { Durations } from './durations.ts';
import { Refusal, type Send, sendTo } from './exchange.ts';
import { Inspector } from './inspector.ts';
import { Ledger } from './ledger.ts';
import { allEnded, type Push, V1Push, V2Push } from './pushes.ts';
import { type Random, randomOf } from './random.ts';
import { openBehind, withFaultSettings } from './registry-under-fault.ts';
import { bySize } from './size.ts';

/** How many times the server of each backend is killed while something is being pushed. */
const KILLS = bySize({ short: 8, long: 200 });
/** After this number of kills all objects are read again, also those checked before. */
const KILLS_BETWEEN_FULL_INSPECTIONS = 40;
/** How long the work behind the pushes goes on. */
const BEHIND_MS = 150;

const REPOSITORIES = ['app', 'team/app', 'team/app/part', 'team-2/app_x.y', 'v1/old', 'library/other'] as const;

for (const kind of backends) {
  describe(`a server on ${kind.name} that is killed repeatedly`, () => {
    const atEnd = useCleanup();
    let stowage: Stowage | undefined;
    afterEach((t) => stowage && reportLogOfFailure(t, stowage));

    test(`has all acknowledged pushes, and no incomplete object, after ${KILLS} kills`, async (t) => {
      const random = randomOf(t);
      const scene = await openScene(kind, atEnd);
      stowage = scene.stowage;
      let kills = 0;
      let interrupted = 0;
      for (let round = 0; kills < KILLS; round++) {
        const pushes = newRound(random.branch(round), round);
        const broken = await killDuring(random.branch(`moment ${round}`), scene, pushes);
        if (broken > 0) kills++;
        interrupted += broken;
        await stowage.restart();
        process.kill(stowage.pid(), 0); // throws if the process has ended and another one answers at its port
        if (kills % KILLS_BETWEEN_FULL_INSPECTIONS === 0) scene.inspector.forget();
        await assertWhole(scene, `after the kill in round ${round}`);
        // What a user does next.
        await allEnded(pushes.filter(({ isDone }) => !isDone).map((push) => push.run(scene.send, scene.ledger)));
      }
      scene.inspector.forget();
      await assertWhole(scene, 'at the end');
      t.diagnostic(
        `${kills} kills interrupted ${interrupted} pushes; acknowledged: ${JSON.stringify(scene.ledger.size)}`,
      );
    });
  });
}

type Scene = { stowage: Stowage; send: Send; inspector: Inspector; ledger: Ledger; durations: Durations };

async function openScene(kind: BackendKind, atEnd: (end: () => unknown) => void): Promise<Scene> {
  const backend = withFaultSettings(await kind.open());
  atEnd(() => backend.close());
  const stowage = await startStowage(backend);
  atEnd(() => stowage.stop());
  const storage = await openBehind(backend);
  atEnd(() => storage.close());
  const send = sendTo(stowage.url);
  const inspector = new Inspector(send, storage);
  return { stowage, send, inspector, ledger: new Ledger(), durations: new Durations() };
}

/** Pushes that happen at the same time. */
function newRound(random: Random, round: number): Push[] {
  const shared = random.chance(0.3) ? [newLayer(random, random.pick([10 * KiB, 5 * MiB, 13 * MiB]))] : [];
  return Array.from({ length: random.between(1, 4) }, (_, index) => {
    const repository = random.pick(REPOSITORIES);
    const tag = `round-${round}-${index}`;
    if (random.chance(0.3)) {
      const sizes = Array.from({ length: random.between(1, 3) }, () => random.pick([0, 20 * KiB, 3 * MiB]));
      const layerSizes = random.chance(0.2) ? [...sizes, 13 * MiB] : sizes;
      return new V1Push(repository, tag, newChain(random, layerSizes));
    }
    const sizes = Array.from({ length: random.between(1, 3) }, () => random.pick([1, 2 * KiB, 300 * KiB, 4 * MiB]));
    return new V2Push(random, {
      repository,
      tags: random.pick([[tag], [tag], [tag, 'latest'], ['latest'], [`${tag}-a`, `${tag}-b`, 'latest']]),
      layerSizes: random.chance(0.25) ? [random.between(13, 27) * MiB, ...sizes] : sizes,
      sharedLayers: shared,
      by: random.pick(['tag', 'tag', 'digest', 'index']),
    });
  });
}

/**
 * Kills the server in the middle of one of the requests of these pushes, or in what it does behind them afterwards.
 * @returns how many of them were not finished
 */
async function killDuring(random: Random, scene: Scene, pushes: readonly Push[]): Promise<number> {
  const { stowage, send, ledger, durations } = scene;
  let before = random.between(
    0,
    pushes.reduce((sum, { requests }) => sum + requests, 0),
  );
  const moment = Promise.withResolvers<void>();
  const striking: Send = async (method, path, init) => {
    const kind = `${method} ${bodySize(init)}`;
    if (before-- === 0) setTimeout(moment.resolve, random.fraction() * durations.typicalMs(kind));
    return await durations.measure(kind, () => send(method, path, init));
  };
  const running = Promise.allSettled(pushes.map((push) => push.run(striking, ledger)));
  await Promise.race([moment.promise, running.then(() => sleep(random.fraction() * BEHIND_MS))]);
  const unfinished = pushes.filter(({ isDone }) => !isDone).length;
  await stowage.kill();
  for (const result of await running) {
    // A server that dies breaks connections; it has no reason to refuse anything before.
    if (result.status === 'rejected' && result.reason instanceof Refusal) throw result.reason;
  }
  return unfinished;
}

/** As a power of two; bodies of streams are of any size. */
function bodySize({ body }: RequestInit = {}): string {
  return body instanceof Uint8Array ? `2^${Math.round(Math.log2(body.length + 1))}` : typeof body;
}

async function assertWhole({ inspector, ledger }: Scene, when: string): Promise<void> {
  try {
    await ledger.assertShownBy(inspector);
  } catch (cause) {
    throw new Error(`${when}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}
