import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where `.ci/install-tools` puts what it installs. */
export const toolsDirectory = process.env.STOWAGE_TOOLS ?? join(homedir(), '.cache/stowage-tools');

const DOCKER_20 = join(toolsDirectory, 'docker-20.10/usr');

const programs = {
  conformance: join(toolsDirectory, 'bin/conformance'),
  crane: join(toolsDirectory, 'bin/crane'),
  oras: join(toolsDirectory, 'bin/oras'),
  regctl: join(toolsDirectory, 'bin/regctl'),
  helm: join(toolsDirectory, 'bin/helm'),
  cosign: join(toolsDirectory, 'bin/cosign'),
  buildkitd: join(toolsDirectory, 'bin/buildkitd'),
  buildctl: join(toolsDirectory, 'bin/buildctl'),
  ctr: join(toolsDirectory, 'bin/ctr'),
  skopeo: '/usr/bin/skopeo',
  podman: '/usr/bin/podman',
  buildah: '/usr/bin/buildah',
  busybox: '/bin/busybox',
  docker: join(DOCKER_20, 'bin/docker'),
  containerd20: join(DOCKER_20, 'bin/containerd'),
  dockerd20: join(DOCKER_20, 'sbin/dockerd'),
  runc: join(DOCKER_20, 'sbin/runc'),
  dockerd29: join(toolsDirectory, 'bin/dockerd'),
  containerd29: join(toolsDirectory, 'bin/containerd'),
  tar: '/bin/tar',
} as const;

export type Program = keyof typeof programs;

/** @throws Error that says how to get it */
export function pathOf(program: Program): string {
  const path = programs[program];
  if (!existsSync(path)) throw new Error(`${program} is not at ${path}: run .ci/install-tools`);
  return path;
}

export interface Ended {
  /** The exit code, or the signal that ended it. */
  status: number | NodeJS.Signals;
  stdout: Buffer;
  stderr: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  input?: Uint8Array | string;
  timeoutSeconds?: number;
  /** Ends the program as Ctrl-C would. */
  signal?: AbortSignal;
}

/** Runs a program until it ends, in success or failure. */
export async function attempt(program: Program, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { env, cwd, input = '', timeoutSeconds = 300, signal } = options;
  const child = spawn(pathOf(program), args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
    timeout: timeoutSeconds * 1000,
  });
  signal?.addEventListener('abort', () => child.kill('SIGINT'), { once: true });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => undefined); // it need not read what it is given
  child.stdin.end(input);
  const status = await new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? signal ?? -1));
  });
  return { status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}

/**
 * Runs a program to its end and gives what it printed.
 * @throws Error with everything it printed, if it fails
 */
export async function run(program: Program, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await attempt(program, args, options);
  if (status === 0) return stdout.toString();
  throw new Error(
    `${[program, ...args].join(' ')}: ended with ${status}\n${stdout.toString().slice(-4000)}${stderr.slice(-4000)}`,
  );
}

/** `regctl` on a registry with plain HTTP, with no configuration of the machine's. */
export async function regctl(host: string, ...args: string[]): Promise<string> {
  const env = { REGCTL_CONFIG: '/dev/null' };
  return run('regctl', [...args, '--host', `reg=${host},tls=disabled`], { env });
}
