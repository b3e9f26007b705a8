import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, before } from 'node:test';
import type { Backend, BackendKind } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { reportLogOfFailure, type Stowage, startStowage } from './stowage.ts';

/** A server under test and what it works on. */
export interface Served {
  stowage: Stowage;
  backend: Backend;
  /** For what the suite's clients read and write. */
  directory: string;
}

/** Called in a suite: a server and its backend, empty at first, run while the suite does. Gives the way to ask for them. */
export function useStowage({ open }: BackendKind): () => Served {
  const atEnd = useCleanup();
  let served: Served | undefined;
  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'e2e-'));
    atEnd(() => rm(directory, { recursive: true, force: true }));
    const backend = await open();
    atEnd(() => backend.close());
    const stowage = await startStowage(backend);
    atEnd(() => stowage.stop());
    served = { stowage, backend, directory };
  });
  afterEach((t) => {
    if (served) reportLogOfFailure(t, served.stowage);
  });
  return () => {
    if (served === undefined) throw new Error('the server does not run yet');
    return served;
  };
}
