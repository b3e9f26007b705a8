import assert from 'node:assert/strict';
import { it } from 'node:test';
import { NO_PEERS } from '../../../lib/concurrency/peers.ts';
import { type Digest, parseRepositoryName } from '../../../lib/model/names.ts';
import { RepositoryListings } from '../../../lib/ui/data/repository-listings.ts';

it('listings are kept by what they take up, with the names of platforms', async () => {
  const readsOf = async (platforms: string[]): Promise<number> => {
    let reads = 0;
    const facts = new Map(
      Array.from({ length: 10_000 }, (_, n) => {
        const own = { kind: 'index', totalBytes: 1, platforms: [...platforms] };
        return [`sha256:${n}` as Digest, own];
      }),
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

it('the listing of 100,000 tags is kept', async () => {
  let reads = 0;
  const platforms = ['linux/amd64'];
  const names = Array.from({ length: 100_000 }, (_, n) => `1.${n}.0-build.${n}`);
  const registry = {
    tags: {
      listObjects: async function* () {},
      resolveObjects: async () =>
        names.map((tag, n) => ({ tag, target: { digest: `sha256:${n}` }, lastModified: new Date(n) })),
    },
    facts: {
      all: async () => {
        reads++;
        return new Map(names.map((_, n) => [`sha256:${n}`, { kind: 'image', totalBytes: n, platforms }]));
      },
    },
    peers: NO_PEERS,
  };
  const listings = new RepositoryListings(registry as never);
  const first = await listings.of(parseRepositoryName('large/app'));
  assert.equal(await listings.of(parseRepositoryName('large/app')), first);
  assert.equal(reads, 1);
});
