import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RegistryError } from '../../../lib/model/errors.ts';
import { type Digest, parseRepositoryName, type Tag } from '../../../lib/model/names.ts';
import type { ManifestFacts, ManifestKind } from '../../../lib/registry/manifests/facts.ts';
import { MiB } from '../../../lib/streams/bytes.ts';
import { IndexChildren } from '../../../lib/ui/data/index-children.ts';
import { TagRows } from '../../../lib/ui/data/tag-rows.ts';

const repository = parseRepositoryName('team/app');
const digestOf = (kind: string, n: number) => `sha256:${kind}${String(n).padStart(63, '0')}` as Digest;
const [indexOf, imageOf] = [(n: number) => digestOf('a', n), (n: number) => digestOf('b', n)];

/** A repository of tagged indexes, each with an image of its own. */
function repositoryOf(indexes: number, padding = 0) {
  const read: Digest[] = [];
  const manifests = {
    get: async (_: unknown, reference: object) => {
      const { digest } = reference as { digest: Digest };
      read.push(digest);
      if (digest === indexOf(13)) throw new RegistryError('MANIFEST_UNKNOWN', 'deleted meanwhile');
      const child = imageOf(Number(digest.slice('sha256:a'.length)));
      const index = {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: child, size: 1 }],
        annotations: { padding: 'x'.repeat(padding) },
      };
      const bytes = new Uint8Array(Buffer.from(JSON.stringify(index)));
      return { digest, mediaType: index.mediaType, bytes };
    },
  };
  const facts = new Map<Digest, ManifestFacts>();
  const add = (digest: Digest, kind: ManifestKind) => facts.set(digest, { kind, totalBytes: 1, platforms: [] });
  const tags = Array.from({ length: indexes }, (_, n) => {
    add(indexOf(n), 'index');
    add(imageOf(n), 'image');
    return { tag: `t${n}` as Tag, digest: indexOf(n), pushedMs: 0 };
  });
  const listing = { tags, facts, rows: new TagRows(tags, facts) };
  return { read, listing, children: new IndexChildren({ manifests }) };
}

describe('what tags lead to', () => {
  it('are the children of indexes too, each index being read once', async () => {
    const { read, listing, children } = repositoryOf(20);
    for (let page = 0; page < 2; page++) {
      const { digests, unreadCount } = await children.reachedByTags(repository, listing);
      assert.deepEqual([digests.size, unreadCount], [39, 0], 'all but the child of the index that is gone');
    }
    assert.deepEqual(read.length, 21, 'what is gone is asked for again');
  });

  it('is found by at most 200 requests for one page, and completed by the next ones', async () => {
    const { read, listing, children } = repositoryOf(500);
    const unread: number[] = [];
    for (let page = 0; page < 3; page++) unread.push((await children.reachedByTags(repository, listing)).unreadCount);
    assert.deepEqual(unread, [300, 101, 0]);
    assert.ok(read.length <= 600);
  });

  it('is found by at most 8 MiB of large indexes for one page, and one more group', async () => {
    const { read, listing, children } = repositoryOf(40, MiB);
    const { unreadCount } = await children.reachedByTags(repository, listing);
    assert.deepEqual([read.length, unreadCount], [16, 24]);
  });
});
