import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ServerOptions {
  command: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  /** Both outputs are appended here. */
  log: string;
  /** Asked again and again until it says yes. */
  isReady: () => Promise<boolean>;
  readySeconds?: number;
}

/** A server that a test started, until the test ends it. */
export class ServerProcess {
  readonly pid: number;
  readonly log: string;
  readonly exited: Promise<void>;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, pid: number, log: string) {
    this.child = child;
    this.pid = pid;
    this.log = log;
    this.exited = new Promise((resolve) => {
      child.once('exit', () => {
        running.delete(child);
        resolve();
      });
    });
  }

  /** @throws Error with the end of the log, if it does not become ready */
  static async start({ command, args, env, log, isReady, readySeconds = 30 }: ServerOptions): Promise<ServerProcess> {
    const output = openSync(log, 'a');
    const child = spawn(command, args, {
      // Without server records, on which commands of other tests depend.
      env: { ...process.env, STOWAGE_RUNTIME_DIR: '', ...env },
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    running.add(child);
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    const server = new ServerProcess(child, child.pid ?? -1, log);
    const deadline = Date.now() + readySeconds * 1000;
    while (!(await isReady())) {
      if (server.hasExited() || Date.now() > deadline) {
        await server.kill();
        throw new Error(`${command} ${args.join(' ')} does not become ready:\n${server.logTail()}`);
      }
      await sleep(50);
    }
    return server;
  }

  private hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** The last lines of its log. */
  logTail(lines = 20): string {
    return readFileSync(this.log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** SIGTERM, and SIGKILL if that was not enough. */
  async stop(graceSeconds = 15): Promise<void> {
    this.child.kill('SIGTERM');
    const giveUp = new AbortController();
    const ended = this.exited.then(() => giveUp.abort());
    await sleep(graceSeconds * 1000, undefined, { signal: giveUp.signal }).catch(() => undefined);
    await Promise.all([ended, this.kill()]);
  }

  async kill(): Promise<void> {
    if (!this.hasExited()) this.child.kill('SIGKILL');
    await this.exited;
  }
}

// A test runner that is ended early takes its servers with it.
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

export async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
