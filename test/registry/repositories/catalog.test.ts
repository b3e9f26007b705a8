import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Authenticator } from '../../../lib/auth/authenticator.ts';
import { Challenges } from '../../../lib/auth/challenges.ts';
import { Gate } from '../../../lib/auth/gate.ts';
import { RequestLimits } from '../../../lib/auth/request-limits.ts';
import { Permissions } from '../../../lib/auth/rules/permissions.ts';
import type { KeyPrefix } from '../../../lib/model/layout.ts';
import { Catalog } from '../../../lib/registry/repositories/catalog.ts';
import type { StorageDriver } from '../../../lib/storage/driver.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';

const PAGE = 1000;

/** Storage that holds nothing but folders of repositories, and counts how often it is asked for 1,000 of them. */
class Folders {
  requests = 0;
  readonly #folders: readonly string[];

  constructor(repositories: readonly string[]) {
    this.#folders = repositories.map((name) => `repositories/${name}/`);
  }

  async *listFolders(prefix: KeyPrefix, { after = '' }: { after?: string } = {}): AsyncGenerator<KeyPrefix> {
    const below = this.#folders.filter((folder) => folder.startsWith(prefix));
    const direct = new Set(below.map((folder) => folder.slice(0, folder.indexOf('/', prefix.length) + 1)));
    const wanted = [...direct].filter((folder) => folder > after).sort();
    for (let start = 0; start === 0 || start < wanted.length; start += PAGE) {
      this.requests++;
      yield* wanted.slice(start, start + PAGE) as KeyPrefix[];
    }
  }

  get driver(): StorageDriver {
    return this as unknown as StorageDriver;
  }
}

const numbered = (count: number, nameOf: (number: string) => string) =>
  Array.from({ length: count }, (_, n) => nameOf(String(n).padStart(4, '0')));

describe('a page of the catalog', () => {
  it('over 2,000 namespaces costs the requests of its own names, wherever it begins', async () => {
    for (const after of [undefined, 'team-0999/app', 'team-0999', 'team-1989/app', 'team-0500/\u{ffff}']) {
      const folders = new Folders(numbered(2000, (n) => `team-${n}/app`));
      const { names, next } = await new Catalog(folders.driver).page({ size: 10, ...(after && { after }) });
      assert.equal(names.length, 10);
      assert.equal(next === undefined, after === 'team-1989/app');
      if (next) assert.equal(next, names.at(-1));
      assert.ok(folders.requests <= 20, `${folders.requests} requests after ${after}`);
    }
  });

  it('does not read namespaces in which the caller may list nothing', async () => {
    const folders = new Folders([...numbered(2000, (n) => `team-${n}/app`), 'zoo/app', 'zoo/other']);
    const { names, next } = await new Catalog(folders.driver).page({
      size: 10,
      maySeeIn: (namespace) => namespace === 'zoo',
    });
    assert.deepEqual([names, next], [['zoo/app', 'zoo/other'], undefined]);
    assert.ok(folders.requests <= 4, `${folders.requests} requests`);
  });

  it('reads namespaces in groups that double up to 16', async () => {
    const groups: number[] = [];
    let isReading = 0;
    let group = 0;
    const folders = new Folders(numbered(60, (n) => `team-${n}/app`));
    const inNamespace = folders.listFolders.bind(folders);
    folders.listFolders = async function* (prefix, options) {
      if (prefix === 'repositories/') return yield* inNamespace(prefix, options);
      isReading++;
      group = Math.max(group, isReading);
      await setImmediate();
      if (--isReading === 0) {
        groups.push(group);
        group = 0;
      }
      yield* inNamespace(prefix, options);
    };
    await new Catalog(folders.driver).page({ size: 1000 });
    assert.deepEqual(groups, [1, 2, 4, 8, 16, 16, 13]);
  });

  it('ends after 128 namespaces without a name for it, and the next page continues there', async () => {
    const folders = new Folders([...numbered(2000, (n) => `team-${n}/app`), 'team-0700/public', 'zoo/public']);
    const catalog = new Catalog(folders.driver);
    const found: string[] = [];
    let pages = 0;
    for (let after: string | undefined; pages < 100; pages++) {
      folders.requests = 0;
      const isShown = (name: string) => name.endsWith('/public');
      const page = await catalog.page({ size: 10, isShown, ...(after !== undefined && { after }) });
      found.push(...page.names);
      assert.ok(folders.requests <= 128 + 16 + 3, `${folders.requests} requests`);
      after = page.next;
      if (after === undefined) break;
    }
    assert.deepEqual(found, ['team-0700/public', 'zoo/public']);
    assert.ok(pages >= 15, `${pages} pages`);
  });

  it('is in the order of names, which is not the order of keys', async () => {
    const names = ['a-b/x', 'a/b', 'a/b%2Fc', 'a/b-c', 'a/b.c', 'a/b0', 'ab/x', 'b/y'];
    const catalog = new Catalog(new Folders(names).driver);
    const inOrder = ['a-b/x', 'a/b', 'a/b-c', 'a/b.c', 'a/b/c', 'a/b0', 'ab/x', 'b/y'];
    for (let size = 1; size <= inOrder.length; size++) {
      const found: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await catalog.page({ size, ...(after !== undefined && { after }) });
        found.push(...page.names);
        after = page.next;
        if (after === undefined) break;
      }
      assert.deepEqual(found, inOrder, `${size} at a time`);
    }
  });
});

describe('GET /v2/_catalog, where a caller may list one repository of some namespaces', () => {
  let server: RegistryServer;
  const folders = new Folders([...numbered(1000, (n) => `secret-${n}/app`), 'secret-0500/public', 'zoo/public']);
  before(async () => {
    const rule = { users: ['mallory'], groups: [], effect: 'allows' as const };
    const permissions = new Permissions([{ ...rule, repositories: ['*/public'], actions: ['pull'] }]);
    const authenticator = {
      authenticate: async () => ({ kind: 'user', name: 'mallory', groups: [] }),
    } as unknown as Authenticator;
    const login = {
      authenticator,
      challenges: new Challenges({ realm: 'x', offersTokens: false, publicUrl: undefined }),
    };
    server = await startRegistry(folders.driver, {
      auth: { gate: new Gate({ permissions, login }), limits: new RequestLimits() },
    });
  });
  after(() => server.stop());

  it('links from short page to short page without revealing hidden names', async () => {
    const found: string[] = [];
    let pages = 0;
    for (let path: string | undefined = '/v2/_catalog?n=10'; path; pages++) {
      const response = await fetch(new URL(path, server.url));
      assert.equal(response.status, 200);
      found.push(...((await response.json()) as { repositories: string[] }).repositories);
      const link = response.headers.get('Link');
      path = /^<([^>]+)>; rel="next"$/.exec(link ?? '')?.[1];
      assert.doesNotMatch(decodeURIComponent(link ?? ''), /secret-\d+\/app|secret-\d+(?!\/public)/);
      assert.ok(pages < 50);
    }
    assert.deepEqual(found, ['secret-0500/public', 'zoo/public']);
    assert.ok(pages > 5);
  });

  it('takes any text as last', async () => {
    for (const [last, first] of [
      ['secret-0500/publi', 'secret-0500/public'],
      ['zoo/pub lic!', 'zoo/public'],
      ['zoo/', 'zoo/public'],
      ['Z', undefined],
      ['~AAAA', undefined],
      [`~${'A'.repeat(100)}`, undefined],
      ['zoo/\u0000', 'zoo/public'],
      ['z'.repeat(5000), undefined],
    ] as const) {
      const response = await fetch(new URL(`/v2/_catalog?n=10&last=${encodeURIComponent(last)}`, server.url));
      assert.equal(response.status, 200, last);
      const { repositories } = (await response.json()) as { repositories: string[] };
      if (first) assert.equal(repositories[0], first, last);
    }
  });

  it('returns nothing for n=0, without a storage request', async () => {
    folders.requests = 0;
    const response = await fetch(new URL('/v2/_catalog?n=0', server.url));
    assert.deepEqual(await response.json(), { repositories: [] });
    assert.equal(folders.requests, 0);
  });
});
