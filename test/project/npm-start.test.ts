// `npm start` under a supervisor: what ends npm ends the server, with its transfers, and frees the port.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { selectAncestors } from '../../lib/commands/support/parent-watch.ts';
import { parsePs, parseWindowsProcesses } from '../../lib/commands/support/processes.ts';
import { answers } from '../e2e/server-process.ts';
import { freePort } from '../support/free-port.ts';
import { digestOf, V2Client } from '../v2/client.ts';

const ROOT = join(import.meta.dirname, '../..');
const LIMIT_MS = 8000;

describe('npm start', { skip: process.platform !== 'linux' && 'looks into /proc' }, () => {
  let directory: string;
  const started: number[] = [];
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-npm-'));
  });
  afterEach(() => {
    for (const pid of started.splice(0)) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  after(() => rm(directory, { recursive: true, force: true }));

  /** As a supervisor runs it: `npm start`, and nothing between. */
  const start = async (args: string[], env: Record<string, string> = {}, hasOwnGroup = false) => {
    const port = await freePort();
    const npm = spawn('npm', args, {
      cwd: ROOT,
      detached: hasOwnGroup,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...{ PATH: process.env.PATH, HOME: process.env.HOME, LOGLEVEL: 'info', npm_config_update_notifier: 'false' },
        STOWAGE_RUNTIME_DIR: '',
        ...{ REGISTRY_PORT: String(port), STORAGE_PATH: join(directory, 'data'), ...env },
      },
    });
    if (npm.pid) started.push(npm.pid);
    const output: string[] = [];
    npm.stdout?.on('data', (chunk) => output.push(String(chunk)));
    npm.stderr?.on('data', (chunk) => output.push(String(chunk)));
    const url = new URL(`http://127.0.0.1:${port}`);
    const deadline = Date.now() + 60_000;
    while (!(await answers(new URL('/healthz', url).href))) {
      assert.ok(Date.now() < deadline && npm.exitCode === null, output.join(''));
      await delay(100);
    }
    const server = descendantsOf(npm.pid ?? 0).at(-1) ?? assert.fail('npm has no child');
    started.push(...descendantsOf(npm.pid ?? 0));
    return { npm, port, url, server };
  };

  for (const [signal, shell] of [
    ['SIGTERM', '/bin/sh'],
    ['SIGKILL', '/bin/sh'],
    ['SIGTERM', '/bin/bash'], // as macOS has it: this one becomes what it runs
    ['SIGKILL', '/bin/bash'],
  ] as const) {
    it(`${signal} to npm, which uses ${shell}, ends the server and frees the port`, async () => {
      assert.ok(existsSync(shell));
      const { npm, port, server } = await start(['start'], { npm_config_script_shell: shell });
      await kill(npm, signal);
      await until(async () => !(await isTaken(port)), 'the port is still taken');
      await until(async () => !isAlive(server), 'the server still runs');
    });
  }

  it('a server started by npm exec (npx) ends with it', async () => {
    const { npm, port, server } = await start(['exec', '--no', '--', 'stowage', 'serve']);
    await kill(npm, 'SIGKILL');
    await until(async () => !(await isTaken(port)), 'the port is still taken');
    await until(async () => !isAlive(server), 'the server still runs');
  });

  for (const [signal, shell] of [
    ['SIGINT', '/bin/sh'], // as a terminal sends it
    ['SIGINT', '/bin/bash'],
    ['SIGTERM', '/bin/sh'], // as a supervisor does
    ['SIGTERM', '/bin/bash'],
  ] as const) {
    it(`an upload that is under way ends well after ${signal} to npm, ${shell} and all processes below`, async () => {
      const { npm, port, url, server } = await start(['start'], { npm_config_script_shell: shell }, true);
      const client = new V2Client(url);
      const path = `${await client.start('app')}&digest=${digestOf('slow upload')}`;
      const headers = { 'Content-Length': 'slow upload'.length };
      const upload = request(new URL(path, url), { method: 'PUT', headers });
      upload.write('slow ');
      await client.send('GET', '/healthz'); // the upload has begun
      process.kill(-(npm.pid ?? assert.fail('npm has not started')), signal);
      await until(async () => !(await isTaken(port)), 'the port is still taken');
      await delay(300); // in which the signal has come by all ways
      assert.ok(isAlive(server), 'the server waits for the upload');
      upload.end('upload');
      const [response] = await once(upload, 'response');
      assert.equal(response.statusCode, 201);
      response.resume();
      await until(async () => !isAlive(server), 'the server still runs');
    });
  }

  it('an upload that is under way ends well after SIGTERM to npm, though the supervisor no longer reads the log', async () => {
    const { npm, port, url, server } = await start(['start']);
    const client = new V2Client(url);
    const digest = digestOf('slow upload');
    const path = `${await client.start('app')}&digest=${digest}`;
    const upload = request(new URL(path, url), { method: 'PUT', headers: { 'Content-Length': 'slow upload'.length } });
    upload.write('slow ');
    await client.send('GET', '/healthz'); // the upload has begun
    await kill(npm, 'SIGTERM');
    npm.stdout?.destroy();
    npm.stderr?.destroy();
    await until(async () => !(await isTaken(port)), 'the port is still taken');
    assert.ok(isAlive(server), 'the server waits for the upload');
    upload.end('upload');
    const [response] = await once(upload, 'response');
    assert.equal(response.statusCode, 201);
    response.resume();
    await until(async () => !isAlive(server), 'the server still runs');
  });

  it('runs as long as npm, also without a terminal', async () => {
    const { url, npm } = await start(['start']);
    await delay(3000);
    assert.ok(await answers(new URL('/healthz', url).href));
    await kill(npm, 'SIGTERM');
  });
});

describe('the processes that a server watches', () => {
  const find = (list: ReturnType<typeof parsePs>) => (pid: number) => list.find((info) => info.pid === pid);
  const pids = (ppid: number, list: ReturnType<typeof parsePs>) =>
    selectAncestors(ppid, find(list)).map(({ pid }) => pid);

  it('are npm and its shell on macOS', () => {
    const list = parsePs(
      '    1     0 /sbin/launchd\n  400     1 -zsh\n  500   400 npm start\n  501   500 sh -c node bin/stowage.js serve\n  502   501 node bin/stowage.js serve\n',
    );
    assert.deepEqual(pids(501, list), [501, 500]);
  });

  it('are npm alone if its shell has become the server', () => {
    assert.deepEqual(pids(500, parsePs('400 1 -zsh\n500 400 npm start\n502 500 node bin/stowage.js serve\n')), [500]);
  });

  it('are npm and its shell on Windows', () => {
    const list = parseWindowsProcesses(
      JSON.stringify([
        { ProcessId: 0, ParentProcessId: 0, CommandLine: null },
        { ProcessId: 40, ParentProcessId: 4, CommandLine: 'C:\\Windows\\system32\\cmd.exe' },
        {
          ProcessId: 50,
          ParentProcessId: 40,
          CommandLine:
            '"C:\\Program Files\\nodejs\\node.exe" "C:\\Program Files\\nodejs\\node_modules\\npm\\bin\\npm-cli.js" start',
        },
        {
          ProcessId: 51,
          ParentProcessId: 50,
          CommandLine: 'C:\\Windows\\system32\\cmd.exe /d /s /c node bin/stowage.js serve',
        },
      ]),
    );
    assert.deepEqual(pids(51, list), [51, 50]);
  });

  it('are the parent alone without a package manager above it', () => {
    assert.deepEqual(pids(400, parsePs('1 0 /sbin/init\n400 1 /bin/sh ./run\n')), [400]);
  });

  it('are switched on by the script of package.json', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    assert.match(scripts.start, /stowage\.js serve --stop-with-parent$/);
  });
});

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

async function until(isSo: () => Promise<boolean>, otherwise: string): Promise<void> {
  const deadline = Date.now() + LIMIT_MS;
  while (!(await isSo())) {
    assert.ok(Date.now() < deadline, otherwise);
    await delay(50);
  }
}

async function isTaken(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return await once(socket, 'connect')
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy());
}

/** Of Linux only: from child to child. */
function descendantsOf(pid: number): number[] {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return child ? [Number(child), ...descendantsOf(Number(child))] : [];
}

function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
