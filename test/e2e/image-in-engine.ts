import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Engine } from './engine.ts';
import { digestOf } from './oci-layout.ts';
import { run } from './programs.ts';

/** What an engine holds, read from the bytes that `docker save` gives and not from what the engine says of them. */
export interface ImageInEngine {
  /** 20.10: digest of the config. 29: of the manifest. */
  id: string;
  repoDigests: string[];
  configDigest: string;
  /** Digests of the layers' tars, the base first. */
  diffIds: string[];
  /** What a container would read at `path`, if a layer has it. */
  content: string | undefined;
}

export async function imageInEngine(engine: Engine, name: string, path: string): Promise<ImageInEngine> {
  const directory = await mkdtemp(join(tmpdir(), 'saved-'));
  try {
    const [inspected] = JSON.parse(await engine.docker('image', 'inspect', name));
    const { Id: id, RepoDigests: repoDigests } = inspected;
    const archive = join(directory, 'saved.tar');
    await engine.docker('save', '-o', archive, name);
    await run('tar', ['-C', directory, '-xf', archive]);
    const [saved] = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8'));
    const config = await readFile(join(directory, saved.Config));
    const diffIds: string[] = [];
    let content: string | undefined;
    for (const layer of saved.Layers) {
      const tarball = inflated(await readFile(join(directory, layer)));
      diffIds.push(digestOf(tarball));
      content = await run('tar', ['-xOf', '-', path], { input: tarball }).catch(() => content);
    }
    return { id, repoDigests: repoDigests.toSorted(), configDigest: digestOf(config), diffIds, content };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const inflated = (bytes: Buffer) => (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes);
