// The registry as a library, from its source. test/e2e/package.e2e.ts tries the package.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { inspect } from 'node:util';
import { type CreateRegistryOptions, createRegistry, type EmbeddedRegistry } from '../../lib/embed/index.ts';
import { createLog, type Log } from '../../lib/model/log.ts';
import { basic, htpasswdOf } from '../auth/test-auth.ts';
import { openFiles } from '../storage/open.ts';
import { digestOf, V2Client } from '../v2/client.ts';

const HOST = 'http://registry.test';

describe('createRegistry', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'embed-test-'));
    await writeFile(join(directory, 'users'), await htpasswdOf(['alice', 'bob']));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const using = async (options: CreateRegistryOptions, use: (registry: EmbeddedRegistry) => Promise<void>) => {
    const registry = await createRegistry(options);
    try {
      await use(registry);
    } finally {
      await registry.close();
    }
  };

  const push = async (registry: EmbeddedRegistry, text: string, headers: Record<string, string> = {}) => {
    const url = `${HOST}/v2/team/app/blobs/uploads/?digest=${digestOf(text)}`;
    return await registry.fetch(new Request(url, { method: 'POST', body: text, headers }));
  };

  it('keeps everything in a temporary directory, which close removes', async () => {
    const temporary = async () => (await readdir(tmpdir())).filter((name) => /^stowage-[^-]{6}$/.test(name));
    const others = new Set(await temporary());
    let made: string[] = [];
    await using({}, async (registry) => {
      assert.equal((await push(registry, 'layer')).status, 201);
      made = (await temporary()).filter((name) => !others.has(name) && existsSync(join(tmpdir(), name, 'oci/blobs')));
      assert.ok(made.length > 0);
    });
    assert.deepEqual(
      made.filter((name) => existsSync(join(tmpdir(), name, 'oci'))),
      [],
    );
  });

  it('keeps everything in the directory it is given, also for the next registry', async () => {
    const kept = join(directory, 'kept');
    await using({ directory: kept }, async (registry) => {
      assert.equal((await push(registry, 'kept')).status, 201);
    });
    await using({ directory: kept }, async (registry) => {
      const pulled = await registry.fetch(new Request(`${HOST}/v2/team/app/blobs/${digestOf('kept')}`));
      assert.deepEqual([pulled.status, await pulled.text()], [200, 'kept']);
    });
  });

  it('uses the storage driver it is given', async () => {
    const { driver, close } = await openFiles();
    await using({ storage: driver }, async (registry) => {
      assert.equal((await push(registry, 'driven')).status, 201);
      assert.ok((await Array.fromAsync(driver.list('oci/blobs/' as Parameters<typeof driver.list>[0]))).length > 0);
    });
    await close();
  });

  it('answers a Node server, and names the origin at which the client reaches it', async () => {
    await using({}, async ({ listener }) => {
      const server = createServer(listener);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      const client = new V2Client(url);
      const { headers } = await client.send('POST', '/v2/team/app/blobs/uploads/');
      assert.ok(headers.get('Location')?.startsWith(`${url.origin}/v2/team/app/blobs/uploads/`));
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    });
  });

  it('applies the limit on uploads to bodies of unknown length', async () => {
    await using({ config: { uploads_at_once: 1 } }, async (registry) => {
      const start = async () => {
        const answer = await registry.fetch(new Request(`${HOST}/v2/team/app/blobs/uploads/`, { method: 'POST' }));
        return new URL(answer.headers.get('Location') ?? '', HOST);
      };
      const [one, two] = [await start(), await start()];
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const send = (url: URL, body: ReadableStream) =>
        registry.fetch(new Request(url, { method: 'PATCH', body, duplex: 'half' } as RequestInit));
      const first = send(one, readable);
      const writer = writable.getWriter();
      await writer.write(Buffer.from('the first'));
      let hasEnded = false;
      const second = send(two, new Blob(['the second']).stream()).finally(() => (hasEnded = true));
      await setTimeout(200);
      assert.equal(hasEnded, false);
      await writer.close();
      assert.equal((await first).status, 202);
      assert.equal((await second).status, 202);
    });
  });

  it('asks for logins where the configuration has auth', async () => {
    const htpasswd = join(directory, 'users');
    await using({ config: { auth: { htpasswd }, secret_key: 'a secret of the tests' } }, async (registry) => {
      assert.equal((await push(registry, 'secret')).status, 401);
    });
  });

  describe('the limits on logins', () => {
    const robot = (index: number) =>
      basic('robot', `stowage_${String(index).padStart(8, '0')}-0000-4000-8000-000000000000_${'a'.repeat(43)}`);
    const user = (index: number) => basic(`user${index}`);

    /** Opens a registry, at a time that stands still. */
    const usingLogins = async (t: TestContext, use: (registry: EmbeddedRegistry) => Promise<void>, log?: Log) => {
      t.mock.method(performance, 'now', () => 1000);
      const config = { auth: { htpasswd: join(directory, 'users') }, secret_key: 'a secret of the tests' };
      await using({ config, ...(log && { log }) }, use);
    };

    const login = async (
      registry: EmbeddedRegistry,
      headers: Record<string, string>,
      ...client: [{ clientAddress?: string }?]
    ) => (await registry.fetch(new Request(`${HOST}/v2/`, { headers }), ...client)).status;

    const loginTimes = async (times: number, send: (index: number) => Promise<number>) => {
      const counts: Record<number, number> = {};
      for (let i = 0; i < times; i++) {
        const status = await send(i);
        counts[status] = (counts[status] ?? 0) + 1;
      }
      return counts;
    };

    it('apply to the address that fetch is given', async (t) => {
      await usingLogins(t, async (registry) => {
        const [attacker, other] = [{ clientAddress: '192.0.2.1' }, { clientAddress: '192.0.2.2' }];
        const guess = () => login(registry, basic('alice', 'wrong'), attacker);
        assert.deepEqual(await loginTimes(12, guess), { 401: 10, 429: 2 });
        assert.equal(await login(registry, basic('alice'), attacker), 429);
        assert.equal(await login(registry, basic('alice'), other), 200);
        assert.deepEqual(await loginTimes(30, (i) => login(registry, user(i), attacker)), { 401: 20, 429: 10 });
        assert.deepEqual(await loginTimes(40, (i) => login(registry, robot(i), attacker)), { 401: 30, 429: 10 });
        assert.equal(await login(registry, basic('bob'), attacker), 429);
        assert.equal(await login(registry, basic('bob'), other), 200);
        assert.equal(await login(registry, robot(0), other), 401);
      });
    });

    for (const [title, ...client] of [
      ['no address'],
      ['a text that is no address', { clientAddress: '192.0.2.1, 192.0.2.2' }],
    ] as const) {
      it(`count clients with ${title} as one, of which ten guesses at a name lock no user out`, async (t) => {
        await usingLogins(t, async (registry) => {
          const guess = () => login(registry, basic('alice', 'wrong'), ...client);
          assert.deepEqual(await loginTimes(12, guess), { 401: 12 });
          assert.equal(await login(registry, basic('alice'), ...client), 200);
          assert.deepEqual(await loginTimes(60, (i) => login(registry, user(i), ...client)), { 401: 18, 429: 42 });
          assert.equal(await login(registry, basic('alice'), ...client), 200, 'a remembered login');
          assert.equal(await login(registry, basic('bob'), ...client), 429);
          assert.deepEqual(await loginTimes(60, (i) => login(registry, robot(i))), { 401: 30, 429: 30 });
          assert.equal(await login(registry, basic('bob'), { clientAddress: '192.0.2.1' }), 200);
        });
      });
    }

    it('and the audit log have the address that fetch is given', async (t) => {
      const lines: string[] = [];
      const log = createLog('error', (line) => lines.push(line) > 0);
      const use = async (registry: EmbeddedRegistry) => {
        await login(registry, basic('alice', 'wrong'), { clientAddress: '192.0.2.1' });
        await login(registry, basic('alice', 'wrong'), { clientAddress: 'made up' });
      };
      await usingLogins(t, use, log);
      assert.deepEqual(
        lines.map((line) => (JSON.parse(line) as { from?: string }).from),
        ['192.0.2.1', undefined],
      );
    });
  });

  it('refuses pages of other origins without auth', async () => {
    await using({}, async (registry) => {
      const headers = { Host: 'registry.test', Origin: 'https://elsewhere.example' };
      assert.equal((await push(registry, 'forged', headers)).status, 403);
    });
  });

  it('logs where it is told to', async () => {
    const lines: string[] = [];
    const log = createLog('info', (line) => lines.push(line) > 0);
    await using({ log, config: { no_such_key: 1 } }, async (registry) => {
      await push(registry, 'logged');
    });
    assert.ok(lines.some((line) => line.includes('no_such_key')));
    assert.ok(lines.some((line) => (JSON.parse(line) as { message: string }).message === 'audit'));
  });

  it('refuses options and a configuration from which it would read no auth', async () => {
    const auth = { htpasswd: join(directory, 'users') };
    const withGetter = new (class {
      get auth() {
        return auth;
      }
    })();
    for (const options of [
      { auth },
      { directory, conf: { auth } },
      { [Symbol('config')]: { auth } },
      new Map([['config', { auth }]]),
      Object.create({ config: { auth } }),
      'auth: {htpasswd: users}',
      { config: `auth: {htpasswd: ${auth.htpasswd}}` },
      { config: undefined },
      { config: null },
      { config: [{ auth }] },
      { config: new Map([['auth', auth]]) },
      { config: Object.create({ auth }) },
      { config: withGetter },
      { config: { auth: undefined } },
      { config: { access: undefined } },
      { config: { auth: () => auth } },
      { config: { auth: Number.NaN } },
      { config: Object.defineProperty({}, 'auth', { value: auth }) },
    ]) {
      await assert.rejects(createRegistry(options as CreateRegistryOptions), TypeError, inspect(options));
    }
    for (const unread of [{}, new Map(Object.entries(auth)), Promise.resolve(auth)]) {
      await assert.rejects(createRegistry({ config: { auth: unread } }), /auth names no users/, inspect(unread));
    }
  });

  it('is open with auth null, and takes a configuration without a prototype', async () => {
    const config = Object.assign(Object.create(null) as Record<string, unknown>, { auth: null });
    await using({ config }, async (registry) => assert.equal((await push(registry, 'open')).status, 201));
  });

  it('refuses to be open under a variable of another registry that sets logins', async (t) => {
    t.after(() => delete process.env.REGISTRY_AUTH);
    process.env.REGISTRY_AUTH = 'htpasswd';
    await assert.rejects(createRegistry(), /REGISTRY_AUTH.*createRegistry/);
    await assert.rejects(createRegistry({ config: { auth: null } }), /REGISTRY_AUTH.*createRegistry/);
    const htpasswd = join(directory, 'users');
    await using({ config: { auth: { htpasswd } } }, async (registry) => {
      assert.equal((await push(registry, 'closed')).status, 401);
    });
  });

  it('writes warnings and errors to standard error by default, and nothing else', async (t) => {
    const lines: string[] = [];
    t.mock.method(process.stderr, 'write', (line: string) => lines.push(line) > 0);
    await using({ config: { no_such_key: 1 } }, async (registry) => {
      await push(registry, 'logged');
    });
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /"level":"warn".*no_such_key/);
  });

  it('refuses two places, and a wrong value, by name', async () => {
    await assert.rejects(createRegistry({ directory, config: { storage: 'local' } }), /directory/);
    await assert.rejects(createRegistry({ config: { trusted_proxies: 99 } }), /createRegistry.*trusted_proxies/);
  });
});
