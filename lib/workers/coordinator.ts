// The coordinator starts the workers, keeps what they share, starts them again when they end, and stops them. It serves no
// request itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ComparePassword } from '../auth/passwords/password-logins.ts';
import type { Config } from '../config/config.ts';
import { RegistryError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import { createSecret } from '../server/secret.ts';
import type { RenewingServer, TlsFiles } from '../server/serve.ts';
import type { CoordinatorAnswers, Start, WorkerAnswers } from './answers.ts';
import { Calls } from './calls.ts';
import { forwardLines } from './forward-lines.ts';
import { Heartbeat } from './heartbeat.ts';
import { bindSocket } from './listening-socket.ts';
import { SharedState, WorkerHoldings } from './shared-state.ts';

/** How many connections a worker accepts in one turn of its event loop. */
const ACCEPTED_IN_A_TURN = 8;

/** The first descriptor of the listening socket in a worker, after the standard streams and the channel. */
const FIRST_SOCKET = 4;

/** A worker that ends sooner than this after its start counts as failed. */
const SHORT_LIFE_MS = 30_000;
/** So many failures of one worker in a row end the server. */
const MAX_FAILURES = 5;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;

/** How often the coordinator looks whether its workers answer. One that hangs is replaced after 60 to 70 s. */
export const CHECK_MS = 10_000;

export type CoordinatorOptions = {
  workers: number;
  log: Log;
  version: string;
  tlsFiles?: TlsFiles;
  /** Compares passwords for all workers, one at a time. */
  comparePassword: ComparePassword;
  /** Is called once, when the workers cannot be kept running. The caller then stops the server. */
  onFailure: (error: Error) => void;
  /** Calls `check` at intervals, for as long as the process runs; every 10 s by default. */
  schedule?: (check: () => void) => void;
};

type Worker = {
  child: ChildProcess;
  calls: Calls<CoordinatorAnswers, WorkerAnswers>;
  /** Resolves with a description when the process has ended. */
  ended: Promise<string>;
  heartbeat: Heartbeat;
};

/**
 * Starts the workers and serves by them.
 * @throws Error if the first worker cannot start: storage or the certificate cannot be used, or the port is taken
 */
export async function serveByWorkers(config: Config, options: CoordinatorOptions): Promise<RenewingServer> {
  const { log } = options;
  const secretKey = config.secretKey ?? createSecret(config, log);
  const socket = await bindSocket(config);
  const coordinator = new Coordinator({ ...config, secretKey }, socket.fd, options);
  try {
    const url = await coordinator.start();
    return {
      url,
      stop() {
        socket.close(); // or connections would wait in its queue until the last transfer has ended
        return coordinator.stop();
      },
      kill: () => coordinator.kill(),
      renewCertificate: () => coordinator.renewCertificate(),
    };
  } catch (error) {
    coordinator.kill();
    socket.close();
    throw error;
  }
}

class WorkerEnded extends Error {
  override readonly name = 'WorkerEnded';
}

class Coordinator {
  readonly #config: Config;
  readonly #fd: number;
  readonly #options: CoordinatorOptions;
  readonly #state: SharedState;
  readonly #passwordKey = randomBytes(32);
  /** The workers that run, by their number from 0 on. */
  readonly #workers = new Map<number, Worker>();
  /** The numbers of those that serve. */
  readonly #serving = new Set<number>();
  #stopping: Promise<void> | undefined;
  #hasFailed = false;

  constructor(config: Config, fd: number, options: CoordinatorOptions) {
    this.#config = config;
    this.#fd = fd;
    this.#options = options;
    this.#state = new SharedState(config, options);
    const { schedule = everyTenSeconds } = options;
    schedule(() => {
      for (const { heartbeat } of this.#workers.values()) heartbeat.check();
    });
  }

  /** Starts the first worker, which prepares storage, and then the others. @returns the origin that they serve */
  async start(): Promise<URL> {
    const url = new URL(await this.#run(0));
    const others = Array.from({ length: this.#options.workers - 1 }, (_, index) => this.#run(index + 1));
    await Promise.all(others);
    return url;
  }

  /** Lets the transfers of all workers end. */
  stop(): Promise<void> {
    this.#stopping ??= Promise.all(
      [...this.#workers.values()].map(async ({ calls, child, ended }) => {
        await calls.call('stop', undefined).catch(() => undefined); // it has ended already
        child.kill('SIGKILL'); // nothing is left to do
        await ended;
      }),
    ).then(() => undefined);
    return this.#stopping;
  }

  /** A worker that ends meanwhile reads the certificate when it is started again. @throws Error if the files cannot be used */
  async renewCertificate(): Promise<void> {
    const renewals = [...this.#workers.values()].map(({ calls }) =>
      calls.call('renew certificate', undefined).catch((error) => {
        if (calls.isOpen) throw error;
      }),
    );
    await Promise.all(renewals);
  }

  kill(): void {
    this.#stopping ??= Promise.resolve();
    for (const { child } of this.#workers.values()) child.kill('SIGKILL');
  }

  /** Starts a worker, and keeps it running once it serves. @throws Error if it cannot start */
  async #run(index: number, failures = 0): Promise<string> {
    const startedAt = performance.now();
    const worker = this.#spawn(index);
    const ended = worker.ended.then((how) => {
      throw new WorkerEnded(`worker ${index} has ended: ${how}`);
    });
    try {
      const starting = worker.calls
        .call('start', this.#startOf(index))
        .catch((error) => (worker.calls.isOpen ? Promise.reject(error) : ended));
      const url = await Promise.race([starting, ended]);
      this.#serving.add(index);
      void worker.ended.then((how) => {
        this.#serving.delete(index);
        return this.#restart(index, { how, startedAt, failures });
      });
      return url;
    } catch (error) {
      worker.child.kill('SIGKILL');
      ended.catch(() => undefined);
      throw error;
    }
  }

  #startOf(index: number): Start {
    const { version, tlsFiles, workers } = this.#options;
    return {
      config: this.#config,
      ...{ version, tlsFiles, workers },
      isFirst: index === 0,
      sockets: Array.from({ length: ACCEPTED_IN_A_TURN }, (_, socket) => FIRST_SOCKET + socket),
      passwordKey: this.#passwordKey,
    };
  }

  /**
   * Starts a worker again after a pause that doubles with each short life. After too many of these the server fails, unless the
   * worker cannot start because storage does not answer, and others serve.
   */
  async #restart(
    index: number,
    {
      how,
      startedAt,
      failures,
      isRefused = false,
    }: { how: string; startedAt: number; failures: number; isRefused?: boolean },
  ): Promise<void> {
    if (this.#stopping !== undefined) return;
    const failed = performance.now() - startedAt < SHORT_LIFE_MS ? failures + 1 : 0;
    if (failed >= MAX_FAILURES && !(isRefused && this.#serving.size > 0)) {
      this.#fail(new Error(`worker ${index} has ended ${failed} times soon after its start: ${how}`));
      return;
    }
    this.#options.log.error('a worker has ended and is started again', { worker: index, how });
    await sleep(Math.min(FIRST_PAUSE_MS * 2 ** failed, LONGEST_PAUSE_MS));
    if (this.#stopping !== undefined) return;
    const restartedAt = performance.now();
    await this.#run(index, failed).catch((error: Error) =>
      this.#restart(index, {
        how: error.message,
        startedAt: restartedAt,
        failures: failed,
        isRefused: !(error instanceof WorkerEnded),
      }),
    );
  }

  #fail(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.onFailure(error);
  }

  #spawn(index: number): Worker {
    const sockets = Array.from({ length: ACCEPTED_IN_A_TURN }, () => this.#fd);
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', 'worker'], {
      // Lines of several processes would mix in one pipe, so they are forwarded one by one.
      stdio: ['ignore', 'pipe', 'inherit', 'ipc', ...sockets],
      serialization: 'advanced',
    });
    const holdings = new WorkerHoldings(this.#state, (slot) => calls.notify('cut off slot', slot));
    const calls = new Calls<CoordinatorAnswers, WorkerAnswers>(child as never, {
      ...holdings.handlers,
      operate: (request, signal) => this.#first().call('operate', request, signal),
      tell: (told) => {
        for (const other of this.#workers.values()) if (other !== worker) other.calls.notify('hear', told);
        return undefined;
      },
    });
    if (child.stdout) forwardLines(child.stdout, process.stdout);
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
    });
    const heartbeat = new Heartbeat(
      () => calls.call('ping', undefined),
      () => {
        this.#options.log.error('a worker does not answer and is ended', { worker: index });
        child.kill('SIGKILL');
      },
    );
    const worker = { child, calls, ended, heartbeat };
    this.#workers.set(index, worker);
    void ended.then(async () => {
      if (this.#workers.get(index) === worker) this.#workers.delete(index);
      await holdings.release();
    });
    return worker;
  }

  /** @throws RegistryError UNAVAILABLE while it is started again */
  #first(): Worker['calls'] {
    const first = this.#workers.get(0);
    if (!first) throw new RegistryError('UNAVAILABLE', 'the worker that does this is being started, try again');
    return first.calls;
  }
}

function everyTenSeconds(check: () => void): void {
  setInterval(check, CHECK_MS).unref();
}
