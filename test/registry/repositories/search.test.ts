import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { layout } from '../../../lib/model/layout.ts';
import { parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { Catalog } from '../../../lib/registry/repositories/catalog.ts';
import { Search } from '../../../lib/registry/repositories/search.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';

describe('search', () => {
  let storage: OpenedStorage;
  let search: Search;
  let listings = 0;
  before(async () => {
    storage = await openFiles();
    const driver = alterDriver(storage.driver, (original) => ({
      listFolders: (prefix, options) => {
        listings++;
        return original.listFolders(prefix, options);
      },
    }));
    search = new Search(new Catalog(driver));
    for (const name of ['a/app', 'b/app', 'c/other']) await push(name);
  });
  after(() => storage.close());

  const tagOf = (name: string) => layout.tag(parseRepositoryName(name), parseTag('latest'));
  const push = (name: string) => storage.driver.put(tagOf(name), Buffer.from('x'));
  const found = async (query: string) =>
    (await search.find(query, { page: 1, size: 10, isShown: () => true })).names.map(String);

  it('finds pushes and deletions of this process at once, without another listing', async () => {
    assert.deepEqual(await found('app'), ['a/app', 'b/app']);
    const before = listings;
    for (let round = 0; round < 5; round++) {
      await push('aa/app');
      search.add(parseRepositoryName('aa/app'));
      assert.deepEqual(await found('app'), ['a/app', 'aa/app', 'b/app']);
      await storage.driver.delete(tagOf('aa/app'));
      search.recheck(parseRepositoryName('aa/app'));
      assert.deepEqual(await found('app'), ['a/app', 'b/app']);
    }
    assert.equal(listings, before);
  });

  it('finds a repository of which only a part was deleted', async () => {
    search.recheck(parseRepositoryName('a/app'));
    assert.deepEqual(await found('app'), ['a/app', 'b/app']);
  });

  it('finds pushes of another process after a minute, and lists the bucket no sooner', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 24 * 60 * 60 * 1000 });
    await found('');
    const before = listings;
    await push('z/app');
    t.mock.timers.tick(59_999);
    assert.ok(!(await found('')).includes('z/app'));
    assert.equal(listings, before);
    t.mock.timers.tick(1);
    assert.ok((await found('')).includes('z/app'));
    assert.ok(listings > before);
  });
});
