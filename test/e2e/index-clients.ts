import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before } from 'node:test';
import { useCleanup } from './cleanup.ts';
import { containerdSocketIn, startContainerd } from './containerd.ts';
import type { TestIndex } from './images.ts';
import { regctl, run } from './programs.ts';

/** A client that takes an index with everything below it from one place to another. */
export interface IndexClient {
  name: string;
  /** Whether what it pushes has an index in an index. */
  pushesNested?: true;
  /** skopeo 1.9 and its kin of that age. */
  cannotPullNested?: true;
  /** From an OCI layout to a registry. */
  push(index: TestIndex, reference: string): Promise<unknown>;
  /** From a registry to an OCI layout in a directory that is not there yet. */
  pull(reference: string, directory: string): Promise<unknown>;
}

/** Called in a suite. `reference` is always `host/repository:tag`, and plain HTTP. */
export function useIndexClients(): readonly IndexClient[] {
  const ctr = useCtr();
  return [
    {
      name: 'skopeo',
      cannotPullNested: true,
      push: ({ layoutDirectory, tag }, reference) =>
        run('skopeo', ['copy', '--all', '--dest-tls-verify=false', `oci:${layoutDirectory}:${tag}`, docker(reference)]),
      pull: (reference, directory) =>
        run('skopeo', ['copy', '--all', '--src-tls-verify=false', docker(reference), `oci:${directory}:pulled`]),
    },
    {
      name: 'oras',
      push: ({ layoutDirectory, tag }, reference) =>
        run('oras', ['cp', '--from-oci-layout', '--to-plain-http', `${layoutDirectory}:${tag}`, reference]),
      pull: (reference, directory) =>
        run('oras', ['cp', '--from-plain-http', '--to-oci-layout', reference, `${directory}:pulled`]),
    },
    {
      name: 'regctl',
      push: ({ layoutDirectory, tag }, reference) =>
        regctl(hostOf(reference), 'image', 'copy', `ocidir://${layoutDirectory}:${tag}`, reference),
      pull: (reference, directory) =>
        regctl(hostOf(reference), 'image', 'copy', reference, `ocidir://${directory}:pulled`),
    },
    {
      name: 'ctr',
      async push({ archive }, reference) {
        await ctr('images', 'import', '--all-platforms', '--no-unpack', archive);
        await ctr('images', 'tag', 'stowage.test/index:multi', reference);
        await ctr('images', 'push', '--plain-http', reference);
        await ctr('images', 'rm', '--sync', reference, 'stowage.test/index:multi');
      },
      async pull(reference, directory) {
        await ctr('images', 'pull', '--plain-http', '--all-platforms', reference);
        // `--local`, because with the transfer service ctr may end before the whole archive has been written.
        const archive = `${directory}.tar`;
        await ctr('images', 'export', '--local', '--skip-manifest-json', '--all-platforms', archive, reference);
        await ctr('images', 'rm', '--sync', reference); // or the next one would find all of it at hand
        await mkdir(directory);
        await run('tar', ['-C', directory, '-xf', archive]);
      },
    },
    {
      name: 'crane',
      pushesNested: true, // the layout's own index, in which what was the index is one of one
      push: ({ layoutDirectory }, reference) => run('crane', ['push', '--index', layoutDirectory, reference]),
      pull: (reference, directory) => run('crane', ['pull', '--format=oci', reference, directory]),
    },
  ];
}

/** `ctr`, with a containerd of its own. */
function useCtr(): (...args: string[]) => Promise<string> {
  const atEnd = useCleanup();
  let root = '';
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'containerd-'));
    atEnd(() => rm(root, { recursive: true, force: true }));
    const containerd = await startContainerd('containerd29', root);
    atEnd(() => containerd.stop());
  });
  return (...args) => run('ctr', ['--address', containerdSocketIn(root), ...args]);
}

const docker = (reference: string) => `docker://${reference}`;

const hostOf = (reference: string) => reference.slice(0, reference.indexOf('/'));
