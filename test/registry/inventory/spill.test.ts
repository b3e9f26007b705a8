import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Digest } from '../../../lib/model/names.ts';
import { DigestSet } from '../../../lib/registry/inventory/digest-set.ts';
import { joinWithSpill, Spill } from '../../../lib/registry/inventory/spill.ts';

const hexOf = (number: number) => createHash('sha256').update(String(number)).digest('hex');

describe('a spill', () => {
  for (const [title, maxMemoryBytes] of [
    ['in memory', 2 ** 25],
    ['in temporary files', 100],
  ] as const) {
    it(`joins groups with the records of their names, ${title}`, async () => {
      const spill = new Spill<number>({ maxMemoryBytes });
      const names = Array.from(
        { length: 1000 },
        (_, number) => `${number % 3 === 0 ? 'sha512' : 'sha256'}/${hexOf(number)}`,
      );
      for (const [number, name] of names.entries()) {
        if (number % 2 === 0) await spill.add(name, number);
        if (number % 4 === 0) await spill.add(name, number + 0.5);
      }
      async function* groups() {
        for (const [number, name] of [...names.entries()].sort(([, a], [, b]) => (a < b ? -1 : 1))) {
          if (number % 5 !== 0) yield { name, number };
        }
      }
      const seen = new Set<string>();
      for await (const { name, group, records } of joinWithSpill(groups(), spill)) {
        assert.ok(!seen.has(name));
        seen.add(name);
        const number = names.indexOf(name);
        assert.equal(group?.number, number % 5 === 0 ? undefined : number);
        const expected = [...(number % 2 === 0 ? [number] : []), ...(number % 4 === 0 ? [number + 0.5] : [])];
        assert.deepEqual(records, expected);
      }
      assert.equal(seen.size, names.filter((_, number) => number % 2 === 0 || number % 5 !== 0).length);
      await spill.close();
    });
  }

  it('removes its temporary files', async () => {
    const { TMPDIR } = process.env;
    const directory = await mkdtemp(join(tmpdir(), 'stowage-spill-'));
    process.env.TMPDIR = directory;
    try {
      const spill = new Spill<number>({ maxMemoryBytes: 0 });
      await spill.add('ab', 1);
      assert.equal((await readdir(directory)).length, 1);
      await spill.close();
      assert.deepEqual(await readdir(directory), []);
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      await rm(directory, { recursive: true });
    }
  });
});

describe('a set of digests', () => {
  it('has what was added, in order', () => {
    const digests = Array.from({ length: 500 }, (_, number) => `sha256:${hexOf(number)}` as Digest).sort();
    const long = `sha512:${'ab'.repeat(64)}` as Digest;
    const set = new DigestSet();
    for (const digest of digests) set.add(digest);
    set.add(long);
    assert.ok([...digests, long].every((digest) => set.has(digest)));
    assert.equal(set.has(`sha256:${hexOf(501)}` as Digest), false);
    assert.deepEqual([...set], [...digests, long]);
    assert.equal(set.size, 501);
    assert.throws(() => set.add(digests[0] as Digest), /order/);
  });
});
