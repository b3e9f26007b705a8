// A server of several workers, as `stowage serve --workers` runs it, and requests over connections of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { listProcesses } from '../../lib/commands/support/processes.ts';
import { CLI, CONFIG } from '../e2e/stowage.ts';

/** A test runner that is ended early takes its servers with it. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer };

export class WorkerServer {
  readonly child: ChildProcess;
  readonly url: URL;
  /** What it has written to standard error. */
  readonly errors: () => string;
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>;

  private constructor(child: ChildProcess, url: URL, errors: () => string) {
    this.child = child;
    this.url = url;
    this.errors = errors;
    this.exited = once(child, 'exit').then(([code]) => code);
  }

  /** @param env settings. @throws Error with what it has printed if it ends before it listens */
  static async start(env: NodeJS.ProcessEnv, args: readonly string[] = ['--port', '0']): Promise<WorkerServer> {
    const child = spawn(process.execPath, [CLI, 'serve', '--config', CONFIG, '--workers', '2', ...args], {
      env: { PATH: process.env.PATH, STOWAGE_RUNTIME_DIR: '', SETTINGS_FLAVOR: 'local', LOGLEVEL: 'info', ...env },
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    let errors = '';
    child.stderr?.on('data', (chunk) => (errors += String(chunk)));
    const url = await new Promise<URL>((resolve, reject) => {
      let log = '';
      child.once('exit', (code) => reject(new Error(`exit code ${code}: ${errors}${log}`)));
      child.stdout?.on('data', (chunk) => {
        log += String(chunk);
        const [, origin] = /"message":"listening","url":"([^"]+)"/.exec(log) ?? [];
        if (origin) resolve(new URL(origin));
      });
    });
    return new WorkerServer(child, url, () => errors);
  }

  /** The pids of its workers. */
  async workers(): Promise<number[]> {
    const all = await listProcesses();
    return all
      .filter(({ parent, command }) => parent === this.child.pid && command.endsWith(' worker'))
      .map(({ pid }) => pid);
  }

  /** Waits until this many workers have started that are not among `known`. */
  async newWorkers(count: number, known: readonly number[]): Promise<number[]> {
    for (;;) {
      const found = (await this.workers()).filter((pid) => !known.includes(pid));
      if (found.length >= count) return found;
      await sleep(50);
    }
  }

  /** Opens a request on a connection of its own. */
  open(method: string, path: string, headers: Record<string, string> = {}): ClientRequest {
    return request(new URL(path, this.url), { method, agent: false, headers });
  }

  async send(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: Uint8Array } = {},
  ): Promise<Answer> {
    const length = body ? { 'Content-Length': String(body.length) } : {};
    const sent = this.open(method, path, { ...length, ...headers });
    sent.end(body);
    return await answerOf(sent);
  }

  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return await this.exited;
  }
}

export async function answerOf(sent: ClientRequest): Promise<Answer> {
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) };
}

/** Stops a worker while `task` runs, so that another one answers. */
export async function whileStopped<T>(pid: number, task: () => Promise<T>): Promise<T> {
  process.kill(pid, 'SIGSTOP');
  try {
    return await task();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}
