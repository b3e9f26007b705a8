import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { before } from 'node:test';
import { useCleanup } from './cleanup.ts';
import { accepts, containerdSocketIn, inOwnMountNamespace, startContainerd } from './containerd.ts';
import { attempt, type Ended, type Program, pathOf, type RunOptions, run } from './programs.ts';
import { ServerProcess } from './server-process.ts';

/** A Docker engine on directories and a socket of its own; its only network is loopback. */
export interface Engine {
  readonly name: string;
  /** Runs `docker …` against it and gives what it printed. @throws Error with that, if it fails */
  docker(...args: string[]): Promise<string>;
  attempt(args: readonly string[], options?: RunOptions): Promise<Ended>;
  /** All of them, so that a pull has nothing to build on. */
  removeImages(): Promise<void>;
  /** As a power cut would end it. */
  kill(): Promise<void>;
  /** After `kill`: on the same directories. */
  restart(): Promise<void>;
  /** Ends it and removes what it kept. */
  stop(): Promise<void>;
  logTail(): string;
}

interface EngineKind {
  name: string;
  containerd: Program;
  dockerd: Program;
  dockerdArguments: readonly string[];
}

/** What every suite with engines runs with. */
export const engineKinds: readonly EngineKind[] = [
  // The classic store: streams each blob in one PATCH of unknown length.
  {
    name: 'Docker 20.10',
    containerd: 'containerd20',
    dockerd: 'dockerd20',
    dockerdArguments: ['--storage-driver=overlay2'],
  },
  // The containerd store: sends each blob in one PUT.
  {
    name: 'Docker 29',
    containerd: 'containerd29',
    dockerd: 'dockerd29',
    dockerdArguments: ['--userland-proxy=false'],
  },
];

/** Called in a suite: every engine runs while the suite does. Gives the way to ask for one. */
export function useEngines(): (name: string) => Engine {
  const atEnd = useCleanup();
  const engines = new Map<string, Engine>();
  before(async () => {
    for (const kind of engineKinds) {
      const engine = await startEngine(kind);
      atEnd(() => engine.stop());
      engines.set(kind.name, engine);
    }
  });
  return (name) => {
    const engine = engines.get(name);
    if (engine === undefined) throw new Error(`${name} does not run`);
    return engine;
  };
}

export async function startEngine({ name, containerd, dockerd, dockerdArguments }: EngineKind): Promise<Engine> {
  const root = await mkdtemp(join(tmpdir(), 'engine-'));
  const socket = join(root, 'docker.sock');
  const host = ['-H', `unix://${socket}`];
  const processes: ServerProcess[] = [];
  const start = async () => {
    // A containerd that dockerd starts itself would outlive a killed dockerd.
    processes.push(await startContainerd(containerd, root));
    processes.unshift(
      await ServerProcess.start({
        ...inOwnMountNamespace(pathOf(dockerd), [
          ...['--host', `unix://${socket}`, '--containerd', containerdSocketIn(root)],
          ...['--data-root', join(root, 'data'), '--exec-root', join(root, 'exec')],
          ...['--pidfile', join(root, 'dockerd.pid'), '--insecure-registry=127.0.0.0/8'],
          ...['--bridge=none', '--iptables=false', '--ip6tables=false', ...dockerdArguments],
        ]),
        env: {
          PATH: `${dirname(pathOf('docker'))}:${process.env.PATH ?? ''}`, // for runc, which dockerd wants to see
          DOCKER_MIN_API_VERSION: '1.24', // the client is 20.10's for both
        },
        log: join(root, 'dockerd.log'),
        isReady: () => serves(socket),
      }),
    );
  };
  const stop = async () => {
    for (const process of processes.splice(0)) await process.stop();
    await rm(root, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  const docker = (...args: string[]) => run('docker', [...host, ...args]);
  return {
    name,
    docker,
    attempt: (args, options) => attempt('docker', [...host, ...args], options),
    async removeImages() {
      const ids = (await docker('image', 'ls', '--all', '--quiet')).split('\n').filter(Boolean);
      if (ids.length > 0) await docker('image', 'rm', '--force', ...new Set(ids));
    },
    async kill() {
      await Promise.all(processes.splice(0).map((process) => process.kill()));
    },
    restart: start,
    stop,
    logTail: () => processes.map((process) => process.logTail()).join('\n'),
  };
}

const serves = async (socket: string) =>
  (await accepts(socket)) && (await attempt('docker', ['-H', `unix://${socket}`, 'version'])).status === 0;
