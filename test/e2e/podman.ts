import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before } from 'node:test';
import { useCleanup } from './cleanup.ts';
import { type Program, run } from './programs.ts';

/** podman and buildah on one storage of their own. */
export interface Podman {
  podman(...args: string[]): Promise<string>;
  buildah(...args: string[]): Promise<string>;
  /** Makes an image of one layer with one file. Gives its id, which is the hex of its config's digest. */
  build(name: string, path: string, content: string): Promise<string>;
  /** Pushes by podman, and gives the digest that it says it pushed. */
  push(image: string, reference: string, ...options: string[]): Promise<string>;
  /** Pulls by podman, and gives what it then has. */
  pull(reference: string): Promise<{ id: string; digest: string }>;
  /** All of them, so that a pull has nothing to build on. */
  removeImages(): Promise<void>;
}

/** Called in a suite. */
export function usePodman(): Podman {
  const atEnd = useCleanup();
  let root = '';
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'podman-'));
    atEnd(() => rm(root, { recursive: true, force: true }));
  });
  // vfs copies each layer, and needs no more of the kernel than that. One thing they share with the machine, and skopeo
  // with them: what they remember of blobs, by host and port, in /var/lib/containers/cache.
  const storage = () => ['--root', join(root, 'root'), '--runroot', join(root, 'run'), '--storage-driver', 'vfs'];
  const call = async (program: Program, args: readonly string[]) =>
    (await run(program, [...storage(), ...args])).trim();
  const podman = (...args: string[]) => call('podman', ['--tmpdir', join(root, 'tmp'), ...args]);
  const buildah = (...args: string[]) => call('buildah', args);
  return {
    podman,
    buildah,
    async build(name, path, content) {
      const file = join(root, 'content');
      await writeFile(file, content);
      const container = await buildah('from', 'scratch');
      await buildah('copy', container, file, path);
      await buildah('config', '--cmd', path, container);
      const id = await buildah('commit', '--quiet', container, name);
      await buildah('rm', container);
      return id;
    },
    async push(image, reference, ...options) {
      const digestFile = join(root, 'digest');
      await podman('push', '--quiet', '--tls-verify=false', '--digestfile', digestFile, ...options, image, reference);
      return await readFile(digestFile, 'utf8');
    },
    async pull(reference) {
      const id = await podman('pull', '--quiet', '--tls-verify=false', reference);
      return { id, digest: await podman('image', 'inspect', '--format={{.Digest}}', reference) };
    },
    async removeImages() {
      await podman('rmi', '--all', '--force');
    },
  };
}
