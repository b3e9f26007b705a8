import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { layout } from '../../../lib/model/layout.ts';
import type { RepositoryName } from '../../../lib/model/names.ts';
import { Catalog } from '../../../lib/registry/repositories/catalog.ts';
import { namesInOrder } from '../../../lib/registry/repositories/names-in-order.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import { MemoryStorage } from '../../storage/memory.ts';

async function storageWith(names: Iterable<string>): Promise<MemoryStorage> {
  const storage = new MemoryStorage();
  for (const name of names) await storage.put(layout.indexImages(name as RepositoryName), new Uint8Array());
  return storage;
}

const part = fc.stringMatching(/^[ab0]{1,2}(?:[-_.]{1,2}[ab]){0,2}$/);
const names = fc.uniqueArray(
  fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => `ns/${parts.join('/')}`),
  { maxLength: 25 },
);

describe('the names of a namespace', () => {
  it('come in the order of names, after any name, however few of them fit in memory', async () => {
    await fc.assert(
      fc.asyncProperty(names, fc.integer({ min: 1, max: 4 }), part, async (all, maxGroup, other) => {
        const storage = await storageWith([...all, 'ns/other~', 'nt/x']);
        const sorted = all.toSorted();
        for (const after of [undefined, `ns/${other}`, `ns/${other}/`, ...sorted]) {
          const found = await Array.fromAsync(namesInOrder(storage, 'ns', { after, maxGroup }));
          assert.deepEqual(
            found,
            sorted.filter((name) => after === undefined || name > after),
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('cost few requests for a page of a namespace with 20,000 repositories', async () => {
    const numbered = Array.from({ length: 10_000 }, (_, n) => String(n).padStart(5, '0'));
    const all = numbered.flatMap((n) => [`library/app-${n}`, `library/sub/app-${n}`]).sort();
    const storage = await storageWith(all);
    let requests = 0;
    const counted = alterDriver(storage, (original) => ({
      async *listFolders(prefix, options) {
        let entries = 0;
        for await (const folder of original.listFolders(prefix, options)) {
          if (entries++ % 1000 === 0) requests++;
          yield folder;
        }
      },
      list(prefix, options) {
        requests++;
        return original.list(prefix, options);
      },
    }));
    for (const at of [0, 5000, 9995, 15_000, 19_989]) {
      requests = 0;
      const after = all[at - 1];
      const page = await new Catalog(counted).page({ size: 10, ...(after !== undefined && { after }) });
      assert.deepEqual(page.names, all.slice(at, at + 10));
      assert.ok(requests <= 16, `${requests} requests at ${at}`);
    }
  });
});
