import assert from 'node:assert/strict';
import { afterEach, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { KiB, MiB } from '../../lib/streams/bytes.ts';
import { backends } from '../e2e/backends.ts';
import { useCleanup } from '../e2e/cleanup.ts';
import { reportLogOfFailure, type Stowage, startStowage } from '../e2e/stowage.ts';
import { type Fault, type FaultyProxy, type SeenRequest, startFaultyProxy } from '../storage/faulty-proxy.ts';
import { newChain } from './content.ts';
import { type Send, sendTo } from './exchange.ts';
import { comingAgain, insist, pull, type Tally, withinTime } from './insistence.ts';
import { Inspector } from './inspector.ts';
import { Ledger } from './ledger.ts';
import { allEnded, type Push, V1Push, V2Push } from './pushes.ts';
import { type Random, randomOf } from './random.ts';
import { openBehind, withFaultSettings } from './registry-under-fault.ts';
import { bySize } from './size.ts';
import { startToxiproxy, type Toxic, type Toxiproxy } from './toxiproxy.ts';

/** How long each network stays bad. */
const BAD_MS = bySize({ short: 1500, long: 20_000 });
/** How many of the ways to push are tried on each of them, side by side. */
const WAYS = bySize({ short: 2, long: 5 });
/** How many of them are tried with each failure of S3, one after the other. */
const FAILING_WAYS = bySize({ short: 1, long: 5 });
/** How many requests to S3 go wrong in one way before another way has its turn. */
const ROUNDS = bySize({ short: 1, long: 8 });
/** So often the work begins anew until something has suffered: which requests it takes is a matter of chance. */
const TRIES = 30;
/** More than the SDK tries: then the client has to come again. */
const ALL_ATTEMPTS = 6;

function toxic(type: Toxic['type'], stream: Toxic['stream'], attributes: Toxic['attributes'], toxicity = 1): Toxic {
  return { type, stream, toxicity, attributes };
}

type Network = [title: string, toxics: Toxic[]];

const NETWORKS: Network[] = [
  ['that is slow to answer', [toxic('latency', 'downstream', { latency: 150, jitter: 100 })]],
  [
    'of little bandwidth',
    [toxic('bandwidth', 'upstream', { rate: 3000 }), toxic('bandwidth', 'downstream', { rate: 3000 })],
  ],
  ['that resets connections', [toxic('reset_peer', 'downstream', { timeout: 30 }, 0.3)]],
  ['that resets every connection', [toxic('reset_peer', 'downstream', { timeout: 200 })]],
  ['that falls silent and then hangs up', [toxic('timeout', 'downstream', { timeout: 700 }, 0.3)]],
  ['that takes no more data and then hangs up', [toxic('timeout', 'upstream', { timeout: 700 }, 0.3)]],
  // Without a word: until the server gives up by itself, after a minute.
  ...bySize<Network[]>({
    short: [],
    long: [['that falls silent for ever', [toxic('timeout', 'downstream', { timeout: 0 }, 0.3)]]],
  }),
  ['that closes late', [toxic('slow_close', 'downstream', { delay: 1000 })]],
  ['that hangs up in the middle of a body on its way to S3', [toxic('limit_data', 'upstream', { bytes: 5 * MiB })]],
  ['that hangs up in the middle of a body from S3', [toxic('limit_data', 'downstream', { bytes: 3 * MiB })]],
  [
    'that cuts everything into small pieces',
    [toxic('slicer', 'downstream', { average_size: 500, size_variation: 400, delay: 20 })],
  ],
];

describe('a bad network between the server and S3', () => {
  const atEnd = useCleanup();
  let toxiproxy: Toxiproxy;
  let scene: Scene;
  before(async () => {
    scene = await openScene(atEnd, async (target) => {
      toxiproxy = await startToxiproxy(target.host);
      atEnd(() => toxiproxy.stop());
      return toxiproxy.port;
    });
  });
  afterEach((t) => reportLogOfFailure(t, scene.stowage));

  for (const [title, toxics] of NETWORKS) {
    test(`${title}: every push and pull succeeds, or gets an answer that asks to retry`, async (t) => {
      const random = randomOf(t);
      const works = someWork(scene, random, WAYS);
      for (const one of toxics) await toxiproxy.add(one);
      const healing = sleep(BAD_MS).then(() => toxiproxy.heal());
      await allEnded([...works.map((work) => work()), healing]);
      await assertWhole(t, scene);
    });
  }

  test('that is gone for a while: every push and pull succeeds, or gets an answer that asks to retry', async (t) => {
    const works = someWork(scene, randomOf(t), WAYS);
    const gone = sleep(100).then(async () => {
      await toxiproxy.disconnect();
      await sleep(BAD_MS);
      await toxiproxy.heal();
    });
    await allEnded([...works.map((work) => work()), gone]);
    await assertWhole(t, scene);
  });
});

type Failure = {
  title: string;
  fault: Fault;
  matches: (request: SeenRequest) => boolean;
  /** About how many of the requests behind a push and a pull match. */
  among: number;
};

const refuse = (status: number, code: string): Fault => ({ kind: 'refuse', status, code });
const anything = { matches: () => true, among: 40 };
const reads = { matches: ({ method }: SeenRequest) => method === 'GET', among: 15 };
const writes = { matches: ({ method }: SeenRequest) => method !== 'GET' && method !== 'HEAD', among: 15 };
const conditional = { matches: (request: SeenRequest) => request.conditional, among: 4 };
// Another client may have written in between; but S3 would not report a blob that does not exist.
const list = { matches: ({ conditional, url }: SeenRequest) => conditional && url.includes('_index_images'), among: 2 };
const completion = {
  matches: ({ method, url }: SeenRequest) => method === 'POST' && url.includes('uploadId='),
  among: 1,
};

const FAILURES: Failure[] = [
  { title: '500 InternalError', fault: refuse(500, 'InternalError'), ...anything },
  { title: '503 SlowDown', fault: refuse(503, 'SlowDown'), ...anything },
  { title: '503 ServiceUnavailable', fault: refuse(503, 'ServiceUnavailable'), ...anything },
  { title: '409 OperationAborted', fault: refuse(409, 'OperationAborted'), ...writes },
  { title: '409 ConditionalRequestConflict', fault: refuse(409, 'ConditionalRequestConflict'), ...conditional },
  { title: '412 PreconditionFailed', fault: refuse(412, 'PreconditionFailed'), ...list },
  { title: '200 with an error in it', fault: refuse(200, 'InternalError'), ...completion },
  { title: 'connections that break before S3 has seen the request', fault: { kind: 'drop' }, ...anything },
  // Of a write that was done, the second attempt gets a 412 or a 404.
  { title: 'connections that break after S3 has done what it was asked', fault: { kind: 'lose-answer' }, ...writes },
  { title: 'completions whose answer is lost', fault: { kind: 'lose-answer' }, ...completion },
  { title: 'answers that break off', fault: { kind: 'cut', afterBytes: 1 * MiB }, ...reads },
];

describe('S3 that fails', () => {
  const atEnd = useCleanup();
  let proxy: FaultyProxy;
  let scene: Scene;
  before(async () => {
    scene = await openScene(atEnd, async (target) => {
      proxy = await startFaultyProxy(target.href);
      atEnd(() => proxy.close());
      return Number(new URL(proxy.endpoint).port);
    });
  });
  afterEach((t) => reportLogOfFailure(t, scene.stowage));

  for (const failure of FAILURES) {
    for (const times of [1, ALL_ATTEMPTS]) {
      const howOften = times === 1 ? 'once' : 'again and again';
      test(`with ${failure.title}, ${howOften}: every push and pull succeeds, or gets an answer that asks to retry`, async (t) => {
        const random = randomOf(t);
        let suffered = 0;
        for (let round = 0; round < ROUNDS || (suffered === 0 && round < TRIES); round++) {
          for (const work of someWork(scene, random.branch(round), FAILING_WAYS)) {
            suffered += await failDuring(proxy, random, failure, times, work);
          }
        }
        t.diagnostic(`${suffered} requests to S3 suffered`);
        assert.ok(suffered > 0);
        await assertWhole(t, scene);
      });
    }
  }
});

/**
 * Lets one of the requests of this work suffer, whichever, or so many from there on.
 * @returns how many suffered
 */
async function failDuring(
  proxy: FaultyProxy,
  random: Random,
  { fault, matches, among }: Failure,
  times: number,
  work: () => Promise<void>,
): Promise<number> {
  let before = random.between(0, among - 1);
  let suffered = 0;
  const suffers = (request: SeenRequest) => {
    if (!matches(request) || before-- > 0) return false;
    suffered++;
    return true;
  };
  proxy.fail(suffers, fault, times);
  await work();
  proxy.heal(); // views are made behind the push's back, and may not have met the rest of it yet
  return suffered;
}

type Scene = {
  stowage: Stowage;
  send: Send;
  inspector: Inspector;
  ledger: Ledger;
  tally: Tally;
};

/** @param connect what stands before S3; gives the port that the server is told */
async function openScene(
  atEnd: (end: () => unknown) => void,
  connect: (target: URL) => Promise<number>,
): Promise<Scene> {
  const kind = backends.find(({ name }) => name === 's3') ?? assert.fail('no S3');
  const backend = withFaultSettings(await kind.open());
  atEnd(() => backend.close());
  const port = await connect(new URL(`http://${backend.env.AWS_HOST}:${backend.env.AWS_PORT}`));
  const stowage = await startStowage(withFaultSettings(backend, { AWS_PORT: String(port) }));
  atEnd(() => stowage.stop());
  const storage = await openBehind(backend);
  atEnd(() => storage.close());
  const send = withinTime(sendTo(stowage.url));
  return {
    stowage,
    send,
    inspector: new Inspector(comingAgain(send), storage),
    ledger: new Ledger(),
    tally: new Map(),
  };
}

/** Pushes in several ways, each with a pull of what was pushed. */
function someWork({ send, ledger, tally }: Scene, random: Random, count: number): (() => Promise<void>)[] {
  const tag = `t${random.hex(8)}`;
  const repository = 'faults/app';
  const large = [20 * KiB, 13 * MiB];
  const pushes: Push[] = [
    new V2Push(random, { repository, tags: [`${tag}-put`, 'latest'], layerSizes: large, route: 'put' }),
    new V2Push(random, { repository, tags: [`${tag}-patch`], layerSizes: large, route: 'patch' }),
    new V2Push(random, { repository, tags: [`${tag}-chunks`], layerSizes: large, route: 'chunks', by: 'digest' }),
    new V2Push(random, { repository, tags: [`${tag}-post`], layerSizes: [300 * KiB], route: 'post' }),
    new V1Push(repository, `${tag}-old`, newChain(random, large)),
  ];
  return random.some(count, pushes).map((push) => async () => {
    await insist(push, send, ledger, tally);
    await pull(repository, push.tag, send, tally);
  });
}

/** Once all is well again. */
async function assertWhole(t: TestContext, { inspector, ledger, tally }: Scene): Promise<void> {
  await ledger.assertShownBy(inspector);
  t.diagnostic(`clients were told: ${JSON.stringify(Object.fromEntries(tally))}`);
  tally.clear();
}
