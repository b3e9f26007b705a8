import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SuiteContext, TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../support/free-port.ts';
import type { Backend } from './backends.ts';
import { answers, ServerProcess } from './server-process.ts';

export const CLI = fileURLToPath(new URL('../../bin/stowage.js', import.meta.url));
export const CONFIG = fileURLToPath(new URL('../../config.yml', import.meta.url));

/** The server under test, as `npm start` runs it, on a port of its own. */
export interface Stowage {
  /** `127.0.0.1:<port>`, as clients name it. */
  readonly host: string;
  readonly url: string;
  readonly port: number;
  pid(): number;
  /** SIGKILL, without waiting for requests. */
  kill(): Promise<void>;
  /** After `kill`: on the same port and objects. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  /** The end of what it has logged. */
  logTail(): string;
}

export type StartOptions = {
  /** Answers 200 once the server has started. */
  readyPath?: string;
  /** Starts the server as number 1 of processes that it alone sees, as a container does. Linux, as root. */
  isPidOne?: boolean;
};

const AS_PID_ONE = ['unshare', '--pid', '--fork', '--kill-child'];

export async function startStowage(
  backend: Pick<Backend, 'env'>,
  { readyPath = '/readyz', isPidOne = false }: StartOptions = {},
): Promise<Stowage> {
  const directory = await mkdtemp(join(tmpdir(), 'stowage-'));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const url = `http://${host}`;
  const serve = [process.execPath, '--max-semi-space-size=2', CLI];
  const [command = '', ...args] = isPidOne ? [...AS_PID_ONE, ...serve] : serve;
  const start = () =>
    ServerProcess.start({
      command,
      args: [...args, 'serve', '--config', CONFIG, '--host', '127.0.0.1', '--port', String(port)],
      env: { MALLOC_MMAP_THRESHOLD_: '1048576', ...backend.env },
      log: join(directory, 'stowage.log'),
      isReady: () => answers(`${url}${readyPath}`),
    });
  let server = await start().catch(async (error: unknown) => {
    await rm(directory, { recursive: true });
    throw error;
  });
  return {
    host,
    url,
    port,
    pid: () => server.pid,
    async kill() {
      await server.kill();
      // What `unshare` has started ends a moment after it.
      while (isPidOne && (await answers(`${url}/healthz`))) await sleep(10);
    },
    async restart() {
      server = await start();
    },
    async stop() {
      await (isPidOne ? server.kill() : server.stop()); // `unshare` hands on no signal
      await rm(directory, { recursive: true });
    },
    logTail: () => server.logTail(),
  };
}

/** For `afterEach`: after a failure, what the server had to say. */
export function reportLogOfFailure(t: TestContext | SuiteContext, stowage: Stowage): void {
  if ('passed' in t && !t.passed) t.diagnostic(`the end of the server's log:\n${stowage.logTail()}`);
}
