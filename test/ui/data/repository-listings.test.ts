import assert from 'node:assert/strict';
import { it } from 'node:test';
import { NO_PEERS } from '../../../lib/concurrency/peers.ts';
import { type Digest, parseRepositoryName } from '../../../lib/model/names.ts';
import { RepositoryListings } from '../../../lib/ui/data/repository-listings.ts';

it('listings are kept by what they take up, with the names of platforms', async () => {
  const readsOf = async (platforms: string[]): Promise<number> => {
    let reads = 0;
    const facts = new Map(
      Array.from({ length: 10_000 }, (_, n) => [`sha256:${n}` as Digest, { kind: 'index', totalBytes: 1, platforms }]),
    );
    const registry = {
      tags: { listObjects: async function* () {}, resolveObjects: async () => [] },
      facts: {
        all: async () => {
          reads++;
          return facts;
        },
      },
      peers: NO_PEERS,
    };
    const listings = new RepositoryListings(registry as never);
    for (let page = 0; page < 2; page++) await listings.of(parseRepositoryName('team/app'));
    return reads;
  };
  assert.equal(await readsOf(['linux/amd64']), 1);
  assert.equal(await readsOf(Array.from({ length: 100 }, () => 'x'.repeat(64))), 2);
});
