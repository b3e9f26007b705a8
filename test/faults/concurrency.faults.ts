import assert from 'node:assert/strict';
import { afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { KiB, MiB } from '../../lib/streams/bytes.ts';
import { backends } from '../e2e/backends.ts';
import { useCleanup } from '../e2e/cleanup.ts';
import { reportLogOfFailure, type Stowage, startStowage } from '../e2e/stowage.ts';
import { digestOf, withDigest } from '../v2/client.ts';
import { newChain, newLayer } from './content.ts';
import { exchange, locationOf, type Send, sendTo } from './exchange.ts';
import { ABSENT } from './history.ts';
import { insist, type Tally } from './insistence.ts';
import { Inspector } from './inspector.ts';
import { Ledger } from './ledger.ts';
import { allEnded, V1Push, V2Push } from './pushes.ts';
import { type Random, randomOf } from './random.ts';
import { openBehind, withFaultSettings } from './registry-under-fault.ts';
import { bySize } from './size.ts';

/** On one bucket, or on one directory. */
const PROCESSES = 2;
const CLIENTS = 32;
const READERS = 6;
const ROUNDS = bySize({ short: 2, long: 25 });
const REPLAYED_UPLOADS = bySize({ short: 2, long: 40 });
/** How long the work behind the last push may take. */
const IN_STEP_MS = bySize({ short: 90_000, long: 600_000 });

const REPOSITORY = 'crowd/app';
/** Set by every client at once; the one by v2 alone, so that v2 can read it, the other by both protocols. */
const V2_TAG = 'latest';
const MIXED_TAG = 'mixed';

for (const kind of backends) {
  describe(`${CLIENTS} clients at once, on ${kind.name}`, () => {
    const atEnd = useCleanup();
    const servers: Stowage[] = [];
    let sends: Send[];
    let inspector: Inspector;

    before(async () => {
      const backend = withFaultSettings(await kind.open());
      atEnd(() => backend.close());
      for (let index = 0; index < PROCESSES; index++) {
        const server = await startStowage(backend);
        atEnd(() => server.stop());
        servers.push(server);
      }
      sends = servers.map(({ url }) => sendTo(url));
      const storage = await openBehind(backend);
      atEnd(() => storage.close());
      inspector = new Inspector(sends[0] ?? assert.fail('no server'), storage);
    });
    afterEach((t) => {
      for (const server of servers) reportLogOfFailure(t, server);
    });

    test('every read of a tag returns the last write of any client', async (t) => {
      const random = randomOf(t);
      const ledger = new Ledger();
      const tally: Tally = new Map();
      for (let round = 0; round < ROUNDS; round++) await crowd(random.branch(round), sends, ledger, tally);
      await assertIndexInStep(sends, ledger);
      await ledger.assertShownBy(inspector);
      const reads = [V2_TAG, MIXED_TAG].map((tag) => ledger.tag(REPOSITORY, tag).reads);
      t.diagnostic(`${ROUNDS * CLIENTS} pushes, ${reads.join(' and ')} reads of the tags that all of them set`);
      t.diagnostic(`clients were told: ${JSON.stringify(Object.fromEntries(tally))}`);
      for (const server of servers) assert.doesNotMatch(server.logTail(), /"level":"(?:error|fatal)"/);
    });

    test('an upload committed twice at the same time is stored once and complete', async (t) => {
      const random = randomOf(t);
      for (let upload = 0; upload < REPLAYED_UPLOADS; upload++) await commitTwice(random.branch(upload), sends);
    });

    test('a chunk sent twice at the same time damages at most its own upload', async (t) => {
      const random = randomOf(t);
      for (let upload = 0; upload < REPLAYED_UPLOADS; upload++) await replayChunk(random.branch(upload), sends);
    });
  });
}

/** Every client pushes an image of its own to tags of its own and of all, and reads them; others read meanwhile. */
async function crowd(random: Random, sends: readonly Send[], ledger: Ledger, tally: Tally): Promise<void> {
  const sharedLayers = [newLayer(random, 20 * KiB), newLayer(random, 5 * MiB)];
  let isOver = false;
  const readers = Array.from({ length: READERS }, async (_, index) => {
    const own = random.branch(`reader ${index}`);
    while (!isOver) await readTags(own, own.pick(sends), ledger);
  });
  const clients = Array.from({ length: CLIENTS }, async (_, index) => {
    const own = random.branch(`client ${index}`);
    const push =
      index % 4 === 3
        ? new V1Push(REPOSITORY, MIXED_TAG, newChain(own, [2 * KiB]))
        : new V2Push(own, {
            repository: REPOSITORY,
            tags: [V2_TAG, MIXED_TAG, `client-${index}`],
            layerSizes: [2 * KiB],
            sharedLayers: sharedLayers.slice(0, index % 8 === 0 ? 2 : 1),
            by: own.pick(['tag', 'digest']),
          });
    await insist(push, own.pick(sends), ledger, tally);
    if (push instanceof V2Push) await readByV2(own.pick(sends), ledger, `client-${index}`);
    await readTags(own, own.pick(sends), ledger);
  });
  const pushed = allEnded(clients).finally(() => {
    isOver = true;
  });
  await allEnded([pushed, ...readers]);
}

async function readTags(random: Random, send: Send, ledger: Ledger): Promise<void> {
  switch (random.between(0, 3)) {
    case 0:
      return await readByV2(send, ledger, V2_TAG);
    case 1:
      return await readByV1(send, ledger, V2_TAG);
    case 2:
      return await readByV1(send, ledger, MIXED_TAG);
    default:
      return await readAllByV1(send, ledger);
  }
}

async function readByV2(send: Send, ledger: Ledger, tag: string): Promise<void> {
  const end = ledger.tag(REPOSITORY, tag).beginRead();
  const { status, body } = await exchange(send, [200, 404], 'GET', `/v2/${REPOSITORY}/manifests/${tag}`);
  end(status === 404 ? ABSENT : digestOf(body).slice('sha256:'.length));
}

async function readByV1(send: Send, ledger: Ledger, tag: string): Promise<void> {
  const end = ledger.tag(REPOSITORY, tag).beginRead();
  const { status, body } = await exchange(send, [200, 404], 'GET', `/v1/repositories/${REPOSITORY}/tags/${tag}`);
  end(status === 404 ? ABSENT : (JSON.parse(body.toString()) as string));
}

async function readAllByV1(send: Send, ledger: Ledger): Promise<void> {
  const ends = [V2_TAG, MIXED_TAG].map((tag) => ({ tag, end: ledger.tag(REPOSITORY, tag).beginRead() }));
  const { status, body } = await exchange(send, [200, 404], 'GET', `/v1/repositories/${REPOSITORY}/tags`);
  const tags = status === 404 ? {} : (JSON.parse(body.toString()) as Record<string, string>);
  for (const { tag, end } of ends) end(tags[tag] ?? ABSENT);
}

/** Soon after the last push, the list of images names every image that a tag names, and none that v1 pushed is lost. */
async function assertIndexInStep(sends: readonly Send[], ledger: Ledger): Promise<void> {
  const [send = assert.fail('no server')] = sends;
  const missing = async () => {
    const { body: index } = await exchange(send, [200], 'GET', `/v1/repositories/${REPOSITORY}/images`);
    const { body: tags } = await exchange(send, [200], 'GET', `/v1/repositories/${REPOSITORY}/tags`);
    const listed = new Set((JSON.parse(index.toString()) as { id: string }[]).map(({ id }) => id));
    const tagged = Object.values(JSON.parse(tags.toString()) as Record<string, string>);
    return [...tagged, ...ledger.imageIds].filter((id) => !listed.has(id));
  };
  const deadline = Date.now() + IN_STEP_MS;
  while ((await missing()).length > 0 && Date.now() < deadline) await sleep(200);
  assert.deepEqual(await missing(), [], 'images that the list does not name');
}

const LARGE_BYTES = 26 * MiB;

/** A client that got no answer sends the last request again, while the server is still at the first. */
async function commitTwice(random: Random, sends: readonly Send[]): Promise<void> {
  const bytes = random.bytes(LARGE_BYTES);
  const digest = digestOf(bytes);
  const half = LARGE_BYTES / 2;
  const first = await sendChunk(random.pick(sends), await start(random.pick(sends)), bytes.subarray(0, half), 0);
  const last = await sendChunk(random.pick(sends), first, bytes.subarray(half), half);
  const statuses = await Promise.all(
    [0, random.between(0, 60)].map(async (delayMs) => {
      await sleep(delayMs);
      return (await exchange(random.pick(sends), [201, 404], 'PUT', withDigest(last, digest))).status;
    }),
  );
  assert(statuses.includes(201), `both were answered ${statuses}`);
  await assertBlob(random.pick(sends), digest);
}

/** The same chunk twice with different bytes: the upload must not become a blob with other content than its digest. */
async function replayChunk(random: Random, sends: readonly Send[]): Promise<void> {
  const bytes = random.bytes(LARGE_BYTES);
  const digest = digestOf(bytes);
  const half = LARGE_BYTES / 2;
  const rest = bytes.subarray(half);
  const first = await sendChunk(random.pick(sends), await start(random.pick(sends)), bytes.subarray(0, half), 0);
  const [right = ''] = await Promise.all(
    [rest, random.bytes(rest.length)].map((chunk) => sendChunk(random.pick(sends), first, chunk, half)),
  );
  const { status } = await exchange(random.pick(sends), [201, 404], 'PUT', withDigest(right, digest));
  if (status === 201) await assertBlob(random.pick(sends), digest);
}

async function start(send: Send): Promise<string> {
  return locationOf(await exchange(send, [202], 'POST', `/v2/${REPOSITORY}/blobs/uploads/`));
}

async function sendChunk(send: Send, location: string, body: Buffer<ArrayBuffer>, start: number): Promise<string> {
  const headers = { 'Content-Range': `${start}-${start + body.length - 1}` };
  return locationOf(await exchange(send, [202], 'PATCH', location, { body, headers }));
}

async function assertBlob(send: Send, digest: string): Promise<void> {
  const { body } = await exchange(send, [200], 'GET', `/v2/${REPOSITORY}/blobs/${digest}`);
  assert.equal(digestOf(body), digest);
}
