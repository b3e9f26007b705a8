// Two servers get one v1 image in two versions at the same moment.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KiB } from '../../lib/streams/bytes.ts';
import { backends } from '../e2e/backends.ts';
import { useCleanup } from '../e2e/cleanup.ts';
import { startStowage } from '../e2e/stowage.ts';
import { payloadSum, type V1Image } from '../support/v1-client.ts';
import { newChain } from './content.ts';
import { exchange, type Send, sendTo } from './exchange.ts';
import { type Random, randomOf } from './random.ts';
import { withFaultSettings } from './registry-under-fault.ts';
import { bySize } from './size.ts';

const RIVALS = bySize({ short: 30, long: 400 });

describe('two servers', { timeout: 600_000 }, () => {
  for (const kind of backends) {
    test(`on ${kind.name} that get two versions of one v1 image at the same time serve one of them, complete, or none`, async (t) => {
      const atEnd = useCleanup((end) => t.after(end));
      const random = randomOf(t);
      const backend = withFaultSettings(await kind.open());
      atEnd(() => backend.close());
      const servers = await Promise.all([startStowage(backend), startStowage(backend)]);
      for (const server of servers) atEnd(() => server.stop());
      const sends = servers.map(({ url }) => sendTo(url));
      let complete = 0;
      for (let round = 0; round < RIVALS; round++) {
        const versions = newVersions(random.branch(round));
        await Promise.allSettled(
          versions.map((image, index) => pushV1(sends[index] ?? assert.fail('no server'), image)),
        );
        const [shown, again] = await Promise.all(sends.map((send) => shownSum(send, versions[0]?.id ?? '')));
        assert.equal(shown, again);
        if (shown === undefined) continue;
        complete++;
        assert.ok(
          versions.some(({ json, layer }) => payloadSum(json, layer) === shown),
          `round ${round}: a mixture`,
        );
      }
      t.diagnostic(`${complete} of ${RIVALS} were complete`);
    });
  }
});

/** Two images of one id. */
function newVersions(random: Random): V1Image[] {
  const [one = assert.fail(), other = assert.fail()] = [
    newChain(random, [2 * KiB]),
    newChain(random, [2 * KiB]),
  ].flat();
  const json = JSON.parse(Buffer.from(other.json).toString()) as object;
  return [
    one,
    { id: one.id, json: Buffer.from(JSON.stringify({ ...json, id: one.id, comment: 'other' })), layer: other.layer },
  ];
}

/** The requests of one client; the first that is refused ends it. */
async function pushV1(send: Send, { id, json, layer }: V1Image): Promise<void> {
  const path = `/v1/images/${id}`;
  await exchange(send, [200], 'PUT', `${path}/json`, { body: new Uint8Array(json) });
  await exchange(send, [200], 'PUT', `${path}/layer`, { body: ReadableStream.from([layer]) });
  const headers = { 'X-Docker-Checksum-Payload': payloadSum(json, layer) };
  await exchange(send, [200], 'PUT', `${path}/checksum`, { headers });
}

/** Of JSON and layer, if the image is complete. */
async function shownSum(send: Send, id: string): Promise<string | undefined> {
  const json = await exchange(send, [200, 400, 404], 'GET', `/v1/images/${id}/json`);
  if (json.status !== 200) return undefined;
  const layer = await exchange(send, [200], 'GET', `/v1/images/${id}/layer`);
  return payloadSum(json.body, layer.body);
}
