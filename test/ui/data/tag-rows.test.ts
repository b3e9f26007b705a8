import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Digest, Tag } from '../../../lib/model/names.ts';
import type { ManifestFacts } from '../../../lib/registry/manifests/facts.ts';
import { type ListedTag, type TagOrder, TagRows } from '../../../lib/ui/data/tag-rows.ts';

const digestOf = (n: number) => `sha256:${String(n).padStart(64, '0')}` as Digest;
const listed = (tag: string, n: number, pushedMs = 0): ListedTag => ({
  tag: tag as Tag,
  digest: digestOf(n),
  pushedMs,
});
const factsOf = (totalBytes: number): ManifestFacts => ({ kind: 'image', totalBytes, platforms: [] });

describe('the rows of tags', () => {
  const rows = new TagRows(
    [
      listed('1.9', 1, 5),
      listed('latest', 2, 7),
      listed('1.10', 2, 3),
      listed('stable', 3, 6),
      listed('1.10-rc1', 4, 1),
      listed(`${digestOf(2).replace(':', '-')}.sig`, 5, 9),
      listed(`${digestOf(9).replace(':', '-')}.sbom`, 6, 2),
    ],
    new Map([
      [digestOf(1), factsOf(30)],
      [digestOf(3), factsOf(10)],
      [digestOf(4), factsOf(20)],
    ]),
  );
  const shown = async (order: TagOrder, filter = '', from = 0, size = 50) =>
    (await rows.page({ order, filter, from, size })).items.map(({ tags }) => tags.join(' '));

  it('are in the order of versions, pushes or sizes, with the tags of a digest in one row', async () => {
    const attached = `${digestOf(9).replace(':', '-')}.sbom`;
    assert.deepEqual(await shown('version'), [attached, '1.10 latest', '1.10-rc1', '1.9', 'stable']);
    assert.deepEqual(await shown('pushed'), ['1.10 latest', 'stable', '1.9', attached, '1.10-rc1']);
    assert.deepEqual(await shown('size'), ['1.9', '1.10-rc1', 'stable', attached, '1.10 latest']);
  });

  it('are those of a filter, by a part or by a pattern', async () => {
    assert.deepEqual(await shown('version', '1.10'), ['1.10 latest', '1.10-rc1']);
    assert.deepEqual(await shown('version', '*t'), ['1.10 latest']);
    assert.deepEqual(await rows.page({ order: 'version', filter: 'none', from: 0, size: 5 }), {
      items: [],
      from: 0,
      total: 0,
    });
    assert.deepEqual(await shown('version', '', 4), ['stable']);
  });

  it('have what tags attach to their digest', () => {
    assert.deepEqual(rows.attachedTo(digestOf(2)), ['signature']);
    assert.deepEqual(rows.attachedTo(digestOf(9)), ['sbom']);
    assert.deepEqual(rows.attachedTo(digestOf(1)), []);
  });

  it('name 20 tags of one digest, those that the filter wants first, and count the others', async () => {
    const many = new TagRows(
      Array.from({ length: 50_000 }, (_, n) => listed(`1.${n}`, 1)),
      new Map(),
    );
    const of = async (filter: string) => (await many.page({ order: 'pushed', filter, from: 0, size: 50 })).items[0];
    const all = await of('');
    assert.deepEqual([all?.tags.length, all?.tags[0], all?.moreTags], [20, '1.49999', 49_980]);
    assert.deepEqual((await of('1.777'))?.tags.slice(0, 2), ['1.7779', '1.7778']);
  });
});
