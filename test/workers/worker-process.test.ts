import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { loadConfig } from '../../lib/config/load.ts';
import type { CoordinatorAnswers, WorkerAnswers } from '../../lib/workers/answers.ts';
import { Calls, type Handlers } from '../../lib/workers/calls.ts';
import { bindSocket } from '../../lib/workers/listening-socket.ts';
import { CLI, CONFIG } from '../e2e/stowage.ts';

/** The descriptor of the listening socket, after the standard streams and the channel. */
const SOCKET = 4;

/** A worker whose coordinator is the test. */
async function startWorker(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'stowage-worker-'));
  const env = { SETTINGS_FLAVOR: 'local', STORAGE_PATH: join(directory, 'data'), SECRET_KEY: 'of the test '.repeat(4) };
  const config = { ...loadConfig({ file: CONFIG, env }).config, host: '127.0.0.1', port: 0 };
  const socket = await bindSocket(config);
  const child = spawn(process.execPath, [CLI, 'worker'], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', socket.fd],
    serialization: 'advanced',
    env: { PATH: process.env.PATH, STOWAGE_RUNTIME_DIR: '' },
  });
  t.after(async () => {
    child.kill('SIGKILL');
    socket.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });
  const gone = new AbortController(); // the socket is also the test's, so connections wait on after the worker has ended
  child.once('exit', () => gone.abort());
  const exited = once(child, 'exit');
  const { stdout, stderr } = child;
  assert.ok(stdout && stderr);
  const errors = text(stderr);
  const calls = new Calls<CoordinatorAnswers, WorkerAnswers>(child as never, {} as Handlers<CoordinatorAnswers>);
  const url = await calls.call('start', {
    ...{ config, version: 'of the test', tlsFiles: undefined, sockets: [SOCKET], workers: 2, isFirst: true },
    passwordKey: randomBytes(32),
  });
  const ask = async () =>
    (await fetch(new URL('/v2/', url), { headers: { Connection: 'close' }, signal: gone.signal })).status;
  return { child, stdout, calls, ask, exited, errors };
}

describe('a worker', { skip: process.platform === 'win32' }, () => {
  it('serves on when nothing reads its log', async (t) => {
    const { stdout, calls, ask } = await startWorker(t);
    stdout.destroy();
    for (let request = 1; request <= 5; request++) assert.equal(await ask(), 200);
    await calls.call('ping', undefined);
  });

  it('ends without a further word when its coordinator has gone', async (t) => {
    const { child, stdout, ask, exited, errors } = await startWorker(t);
    stdout.destroy(); // what it logs of these requests has no reader
    const asked = Promise.allSettled([1, 2, 3].map(ask));
    child.disconnect();
    assert.deepEqual(await exited, [1, null]);
    assert.equal(await errors, '');
    await asked;
  });
});
