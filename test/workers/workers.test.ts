import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashPassword } from '../../lib/auth/passwords/bcrypt.ts';
import { CLI, CONFIG } from '../e2e/stowage.ts';
import { digestOf } from '../v2/client.ts';
import { type Answer, answerOf, WorkerServer, whileStopped } from './worker-server.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

describe('a server of two workers on disk', { skip: process.platform === 'win32' }, () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-workers-'));
    await writeFile(join(directory, 'users'), `alice:${await hashPassword('right')}\n`);
  });
  after(() => rm(directory, { recursive: true, force: true }));

  let started = 0;
  const start = (env: NodeJS.ProcessEnv = {}, args?: string[]) =>
    WorkerServer.start({ STORAGE_PATH: join(directory, `data-${started++}`), ...env }, args);

  const startUpload = async (server: WorkerServer, repository: string) =>
    pathOf(await server.send('POST', `/v2/${repository}/blobs/uploads/`));
  const pushBlob = async (server: WorkerServer, repository: string, body: Uint8Array) => {
    const location = await startUpload(server, repository);
    return await server.send('PUT', withDigest(location, body), { body });
  };
  /** A manifest that differs from others by its annotation. */
  const pushConfig = async (server: WorkerServer, repository: string) => {
    const config = Buffer.from('{}');
    assert.equal((await pushBlob(server, repository, config)).status, 201);
    return (text: string) =>
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: MANIFEST,
          config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: 2 },
          layers: [],
          annotations: { text },
        }),
      );
  };
  const putManifest = (server: WorkerServer, path: string, body: Uint8Array, headers: Record<string, string> = {}) =>
    server.send('PUT', path, { body, headers: { 'Content-Type': MANIFEST, ...headers } });

  describe('that is open', () => {
    let server: WorkerServer;
    before(async () => {
      server = await start({ IMMUTABLE_TAGS: '["fixed/*:v*"]', UPLOADS_AT_ONCE: '8', SEARCH_BACKEND: 'sqlalchemy' });
    });
    after(() => server.stop());

    it('continues an upload in the worker that did not begin it', async () => {
      const [one = 0, other = 0] = await server.workers();
      const [first, second] = [randomBytes(1000), randomBytes(500)];
      const location = await whileStopped(one, () => startUpload(server, 'resumed/app'));
      const patched = await whileStopped(other, () =>
        server.send('PATCH', location, { body: first, headers: { 'Content-Range': '0-999' } }),
      );
      assert.equal(patched.status, 202);
      const put = await whileStopped(one, () =>
        server.send('PUT', withDigest(pathOf(patched), Buffer.concat([first, second])), { body: second }),
      );
      assert.equal(put.status, 201);
      const digest = digestOf(Buffer.concat([first, second]));
      const { body } = await whileStopped(other, () => server.send('GET', `/v2/resumed/app/blobs/${digest}`));
      assert.ok(body.equals(Buffer.concat([first, second])));
    });

    it('lets one of many conditional moves of a tag succeed', async () => {
      const manifestOf = await pushConfig(server, 'raced/app');
      const created = await putManifest(server, '/v2/raced/app/manifests/latest', manifestOf('first'));
      assert.equal(created.status, 201);
      const etag = `"${digestOf(manifestOf('first'))}"`;
      const moves = Array.from({ length: 16 }, (_, index) =>
        putManifest(server, '/v2/raced/app/manifests/latest', manifestOf(`move ${index}`), { 'If-Match': etag }),
      );
      const statuses = (await Promise.all(moves)).map(({ status }) => status);
      assert.deepEqual(statuses.toSorted(), [201, ...Array<number>(15).fill(412)]);
      const winner = manifestOf(`move ${statuses.indexOf(201)}`);
      const { body } = await server.send('GET', '/v2/raced/app/manifests/latest', { headers: { Accept: MANIFEST } });
      assert.ok(body.equals(winner));
    });

    it('creates an immutable tag once, however many push it', async () => {
      const manifestOf = await pushConfig(server, 'fixed/app');
      const pushes = Array.from({ length: 16 }, (_, index) =>
        putManifest(server, '/v2/fixed/app/manifests/v1', manifestOf(`push ${index}`)),
      );
      const statuses = (await Promise.all(pushes)).map(({ status }) => status);
      assert.equal(statuses.filter((status) => status === 201).length, 1, String(statuses));
      const { body } = await server.send('GET', '/v2/fixed/app/manifests/v1', { headers: { Accept: MANIFEST } });
      assert.ok(body.equals(manifestOf(`push ${statuses.indexOf(201)}`)));
    });

    it('finds in one worker what was pushed to the other', async () => {
      const [one = 0, other = 0] = await server.workers();
      const search = () => server.send('GET', '/v1/search?q=found');
      for (const pid of [one, other]) await whileStopped(pid, search); // both know the list before the push
      const manifestOf = await pushConfig(server, 'found/app');
      await whileStopped(one, () => putManifest(server, '/v2/found/app/manifests/1', manifestOf('x')));
      const found = async () => String((await whileStopped(other, search)).body).includes('found/app');
      while (!(await found())) await sleep(20); // the news is on its way
    });

    it('shows the state of a check to requests of both workers', async () => {
      const pids = await server.workers();
      const stateOf = async () => {
        const { status, body } = await server.send('GET', '/v2/_stowage/fsck?n=5');
        assert.equal(status, 200);
        return (JSON.parse(String(body)) as { run: { state: string } }).run.state;
      };
      assert.equal((await server.send('POST', '/v2/_stowage/fsck')).status, 202);
      while ((await stateOf()) !== 'done') await sleep(20);
      // Either worker may answer each of these; neither may say that no check has run.
      const states = await Promise.all(Array.from({ length: 32 }, stateOf));
      assert.deepEqual(new Set(states), new Set(['done']));
      assert.equal((await server.send('DELETE', '/v2/_stowage/fsck')).status, 405);
      assert.equal(pids.length, 2);
    });
  });

  it('runs no more uploads at once than are configured, in both workers together', async (t) => {
    const server = await start({ UPLOADS_AT_ONCE: '1' });
    t.after(() => server.stop());
    const body = randomBytes(1000);
    const openUpload = async () =>
      server.open('PUT', withDigest(await startUpload(server, 'one/app'), body), { 'Content-Length': '1000' });
    const [one = 0, other = 0] = await server.workers();
    const first = await whileStopped(one, async () => {
      const upload = await openUpload();
      upload.write(body.subarray(0, 500));
      await once(upload, 'socket');
      await server.send('GET', '/v2/'); // the other worker has accepted what came before
      return upload;
    });
    let isAnswered = false;
    const second = await whileStopped(other, async () => {
      const upload = await openUpload();
      upload.end(body);
      await once(upload, 'socket');
      await server.send('GET', '/v2/');
      return upload;
    });
    const waiting = answerOf(second);
    void waiting.then(() => (isAnswered = true));
    await sleep(500);
    assert.equal(isAnswered, false);
    first.end(body.subarray(500));
    assert.deepEqual([(await answerOf(first)).status, (await waiting).status], [201, 201]);
  });

  it('gives a client no more tries of a password than one process does', async (t) => {
    const server = await start({ AUTH: `{htpasswd: "${join(directory, 'users')}"}` });
    t.after(() => server.stop());
    const pids = await server.workers();
    const login = (password: string) =>
      server.send('GET', '/v2/', {
        headers: { Authorization: `Basic ${Buffer.from(`alice:${password}`).toString('base64')}` },
      });
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 12; attempt++) {
      const stopped = pids[attempt % 2] ?? 0;
      statuses.push((await whileStopped(stopped, () => login(`wrong ${attempt}`))).status);
    }
    assert.deepEqual(statuses, [...Array<number>(10).fill(401), 429, 429]);
  });

  it('lets an upload end after SIGTERM to all of its processes, and accepts no new connection', async (t) => {
    const server = await start();
    t.after(() => server.child.kill('SIGKILL'));
    const body = randomBytes(1000);
    const upload = server.open('PUT', withDigest(await startUpload(server, 'ends/app'), body), {
      'Content-Length': '1000',
    });
    upload.write(body.subarray(0, 500));
    await once(upload, 'socket');
    await Promise.all([1, 2, 3].map(() => server.send('GET', '/v2/')));
    const response = answerOf(upload);
    for (const pid of await server.workers()) process.kill(pid, 'SIGTERM'); // systemd signals each process
    server.child.kill('SIGTERM');
    while (await accepts(server)) await sleep(20);
    upload.end(body.subarray(500));
    assert.equal((await response).status, 201);
    assert.equal(await server.exited, 0);
  });

  it('loses no acknowledged blob when a worker is killed during pushes, and goes on', async (t) => {
    const server = await start();
    t.after(() => server.stop());
    const acknowledged: Uint8Array[] = [];
    let isOver = false;
    const push = async () => {
      while (!isOver) {
        const body = randomBytes(20_000);
        const status = await pushBlob(server, 'killed/app', body).then(
          (answer) => answer.status,
          () => undefined, // the connection ended with its worker
        );
        if (status === 201) acknowledged.push(body);
      }
    };
    const pushes = Array.from({ length: 4 }, push);
    let known = await server.workers();
    for (const index of [0, 1, 0]) {
      const before = acknowledged.length;
      while (acknowledged.length < before + 10) await sleep(10);
      const pid = known[index] ?? 0;
      process.kill(pid, 'SIGKILL');
      await server.newWorkers(1, known);
      known = (await server.newWorkers(2, [pid])).toSorted((a, b) => a - b);
    }
    isOver = true;
    await Promise.all(pushes);
    for (const body of acknowledged) {
      const answer = await server.send('GET', `/v2/killed/app/blobs/${digestOf(body)}`);
      assert.ok(answer.status === 200 && answer.body.equals(body));
    }
  });

  it('ends with an error if a worker ends again and again', async (t) => {
    const server = await start();
    t.after(() => server.child.kill('SIGKILL'));
    const known = await server.workers();
    process.kill(known.at(-1) ?? 0, 'SIGKILL');
    let hasExited = false;
    void server.exited.then(() => (hasExited = true));
    while (!hasExited) {
      for (const pid of (await server.workers()).filter((found) => !known.includes(found))) {
        known.push(pid);
        try {
          process.kill(pid, 'SIGKILL');
        } catch {} // it has ended meanwhile
      }
      await sleep(50);
    }
    assert.equal(await server.exited, 1);
    assert.match(server.errors(), /^stowage: worker \d has ended 5 times .*SIGKILL$/m);
    assert.deepEqual(await server.workers(), []);
  });

  it('ends its workers with the coordinator', async () => {
    const server = await start();
    const pids = await server.workers();
    assert.equal(pids.length, 2);
    server.child.kill('SIGKILL');
    await server.exited;
    while (await accepts(server)) await sleep(20);
    const isThere = (pid: number) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    while (pids.some(isThere)) await sleep(20);
  });

  it('writes one server record, of the process that was started', async (t) => {
    const runtime = join(directory, 'runtime');
    const server = await start({ STOWAGE_RUNTIME_DIR: runtime });
    t.after(() => server.stop());
    assert.deepEqual(await readdir(runtime), [`${server.child.pid}.json`]);
    const record = JSON.parse(await readFile(join(runtime, `${server.child.pid}.json`), 'utf8')) as { url: string };
    assert.equal(record.url, server.url.origin);
  });

  it('ends with one line if the port is in use', async (t) => {
    const server = await start();
    t.after(() => server.stop());
    const taken = ['--port', server.url.port];
    await assert.rejects(start({}, taken), (error: Error) => {
      assert.match(error.message, /^exit code 1: stowage: port \d+ of 127\.0\.0\.1 is in use: .*--port.*\n$/);
      return true;
    });
  });

  for (const workers of ['0', '65', 'many', '1.5']) {
    it(`refuses --workers ${workers} and STOWAGE_WORKERS=${workers}`, async () => {
      for (const [args, env] of [
        [['--workers', workers], {}],
        [[], { STOWAGE_WORKERS: workers }],
      ] as const) {
        const child = spawn(process.execPath, [CLI, 'serve', '--config', CONFIG, ...args], {
          env: { PATH: process.env.PATH, STORAGE_PATH: directory, ...env },
        });
        let errors = '';
        child.stderr.on('data', (chunk) => (errors += String(chunk)));
        const [code] = await once(child, 'close');
        assert.equal(code, 1);
        assert.match(errors, /workers.*allowed: auto/s);
      }
    });
  }
});

function pathOf(answer: Answer): string {
  const { location = '' } = answer.headers;
  return location.replace(/^https?:\/\/[^/]+/, '');
}

function withDigest(location: string, body: Uint8Array): string {
  return `${location}${location.includes('?') ? '&' : '?'}digest=${digestOf(body)}`;
}

/** Whether a new connection is answered. */
async function accepts(server: WorkerServer): Promise<boolean> {
  return await server.send('GET', '/healthz').then(
    () => true,
    () => false,
  );
}
