// Runs the collector until nothing is left to do, and compares each run with its dry run and with storage.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import { listUnlessGone } from '../../lib/registry/condemned/gone.ts';
import type { Registry } from '../../lib/registry/registry.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { SCALED, type ScaledServer } from './scaled-server.ts';

/** Nothing takes more rounds: an index, its children, their links, their bytes; each is condemned first. */
const MAX_ROUNDS = 14;

type Action = { action: string; kind: string; key: Key };
export type Totals = { rounds: number; removedKeys: number; removedBytes: number };

/** A run that does nothing may note what the next one works on, such as digests whose bytes have several copies. */
const QUIET_ROUNDS = 2;

/**
 * @returns once dry runs find nothing to do, and runs do nothing
 * @throws AssertionError if a run does anything other than its dry run listed, or other keys are gone after it
 */
export async function collectAll({ registry, storage, clockStepMs, idle }: ScaledServer): Promise<Totals> {
  await idle();
  const totals: Totals = { rounds: 0, removedKeys: 0, removedBytes: 0 };
  for (let round = 1, quiet = 0; quiet < QUIET_ROUNDS; round++) {
    assert.ok(round <= MAX_ROUNDS, 'the collector does not come to an end');
    await sleep(SCALED.graceMs + clockStepMs);
    const planned = await collect(registry, { isDryRun: true });
    const before = await liveKeys(storage);
    const done = await collect(registry);
    assert.deepEqual(done.actions, planned.actions, `round ${round}: what the dry run listed and what the run did`);
    const after = await liveKeys(storage);
    const gone = [...before].filter((key) => !after.has(key) && !key.startsWith('oci/gc/')).toSorted();
    const removed = planned.actions.filter(({ action }) => action === 'remove').map(({ key }) => key);
    const removedWith = removed.flatMap((key) => [...before].filter((other) => isPartOf(other, key)));
    assert.deepEqual(gone, [...new Set([...removed, ...removedWith])].toSorted(), `round ${round}: the keys that went`);
    quiet = planned.actions.length === 0 ? quiet + 1 : 0;
    if (quiet === 0) totals.rounds = round;
    totals.removedKeys += gone.length;
    totals.removedBytes += done.removedBytes;
  }
  return totals;
}

async function collect({ collections }: Registry, { isDryRun = false } = {}) {
  const outcome = await collections.start({ isDryRun, maxListed: 100_000 })?.outcome;
  if (outcome?.kind !== 'complete') return assert.fail(JSON.stringify(outcome));
  const { list, problems, unknown } = outcome.report;
  assert.deepEqual(
    [problems, unknown],
    [
      { count: 0, samples: [] },
      { count: 0, samples: [] },
    ],
  );
  const listed = list?.actions ?? [];
  const actions = listed
    .map(({ action, kind, key }): Action => ({ action, kind, key }))
    .toSorted((a, b) => `${a.key} ${a.action}`.localeCompare(`${b.key} ${b.action}`));
  const bytesOf = listed.flatMap(({ action, kind, bytes }) => (action === 'remove' && kind === 'bytes' ? [bytes] : []));
  return { actions, removedBytes: bytesOf.reduce((sum, bytes) => sum + bytes, 0) };
}

/** The mark and the pointer of bytes go with them, and the cell of a v1 image with the image. */
function isPartOf(other: Key, key: Key): boolean {
  const bytes = /^oci\/(?:blobs\/\w+\/[0-9a-f]+\/copy-|data\/)(?<uuid>[0-9a-f-]{36})$/.exec(key)?.groups?.uuid;
  if (bytes !== undefined) return other.startsWith('oci/blobs/') && other !== key && other.includes(bytes);
  const image = /^(?:oci\/)?images\/(?<id>[^/]+)\//.exec(key)?.groups?.id;
  return image !== undefined && other === `oci/images/${image}/condemned.json`;
}

/** All keys but those of objects that count as absent. */
async function liveKeys(storage: StorageDriver): Promise<Set<Key>> {
  return new Set(await Array.fromAsync(listUnlessGone(storage, '' as KeyPrefix), ({ key }) => key));
}
