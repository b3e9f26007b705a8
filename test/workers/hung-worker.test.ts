import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { listProcesses } from '../../lib/commands/support/processes.ts';

const COORDINATOR = fileURLToPath(new URL('coordinator-process.ts', import.meta.url));

it('a worker that hangs is replaced, and no other', { skip: process.platform === 'win32' }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'stowage-hung-'));
  const coordinator = spawn(process.execPath, [COORDINATOR], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: {
      ...{ PATH: process.env.PATH, STOWAGE_RUNTIME_DIR: '', SETTINGS_FLAVOR: 'local' },
      STORAGE_PATH: join(directory, 'data'),
    },
  });
  t.after(async () => {
    coordinator.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });
  let log = '';
  coordinator.stdout?.on('data', (chunk) => (log += String(chunk)));
  const workers = async () =>
    (await listProcesses())
      .filter(({ parent, command }) => parent === coordinator.pid && command.endsWith(' worker'))
      .map(({ pid }) => pid);
  const [origin] = (await once(coordinator, 'message')) as [string];
  const started = await workers();
  assert.equal(started.length, 2);
  const [hung = 0, other = 0] = started;
  process.kill(hung, 'SIGSTOP');
  while ((await workers()).includes(hung)) {
    coordinator.send('check');
    const { status } = await fetch(`${origin}/healthz`, { headers: { Connection: 'close' } });
    assert.equal(status, 200); // of the other worker, which has had time to answer the ping
  }
  while ((await workers()).length < 2) await fetch(`${origin}/healthz`, { headers: { Connection: 'close' } });
  assert.ok((await workers()).includes(other));
  const ended = log.split('\n').filter((line) => line.includes('"a worker does not answer and is ended"'));
  assert.equal(ended.length, 1);
});
