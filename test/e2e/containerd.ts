import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Program, pathOf } from './programs.ts';
import { ServerProcess } from './server-process.ts';

export const containerdSocketIn = (root: string) => join(root, 'containerd.sock');

/** Starts a containerd that keeps everything in one directory, which has to be there. */
export async function startContainerd(containerd: Program, root: string): Promise<ServerProcess> {
  const socket = containerdSocketIn(root);
  const config = join(root, 'containerd.toml');
  await writeFile(
    config,
    // Version 2 is what both generations read.
    `version = 2\nroot = '${root}/containerd'\nstate = '${root}/containerd-state'\n[grpc]\naddress = '${socket}'\n`,
  );
  return ServerProcess.start({
    ...inOwnMountNamespace(pathOf(containerd), ['--config', config]),
    log: join(root, 'containerd.log'),
    isReady: () => accepts(socket),
  });
}

/** The mounts of a daemon end with its last process, also after SIGKILL. */
export const inOwnMountNamespace = (command: string, args: readonly string[]) => ({
  command: 'unshare',
  args: ['--mount', '--propagation=private', command, ...args],
});

/** Whether a process listens on a socket. */
export const accepts = (path: string) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
