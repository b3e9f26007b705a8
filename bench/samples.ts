// Takes samples of both registries alternately, each from a fresh process.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Measure, Sizes } from './measures.ts';
import { cpuSecondsOf, foreignShareDuring, peakMemoryMiB, quiet, resetPeakMemory } from './proc.ts';
import { type Registry, startRegistry } from './registries.ts';
import { type BenchStorage, type Bucket, emptyStorage, folderOf, type RegistryName } from './storage.ts';

/** Samples of one registry for one measure; `values` has a list for each metric. */
export type Samples = { values: number[][]; cpuSeconds: number[]; peakMiB: number[] };

export type MeasureOptions = {
  /** Those of measures on S3 share one bucket. */
  bucket: () => Promise<Bucket>;
  names: readonly RegistryName[];
  sizes: Sizes;
  samples: number;
  /** Wait for an idle machine, and repeat a sample in which other processes used a larger share than this. */
  maxForeignShare: number | undefined;
  progress: (text: string) => void;
};

/** How often a disturbed sample is repeated before it counts all the same. */
const ATTEMPTS = 5;

export async function takeSamples(measure: Measure, options: MeasureOptions): Promise<Map<RegistryName, Samples>> {
  const { names, sizes, samples, progress } = options;
  const directory = await mkdtemp(join(tmpdir(), 'stowage-bench-'));
  const storage: BenchStorage =
    measure.storage === 'disk'
      ? { kind: 'disk', directory: join(directory, 'disk') }
      : { kind: 's3', bucket: await options.bucket(), redirects: measure.redirects };
  const runs: Run[] = [];
  try {
    for (const name of names) {
      progress(`${measure.name}: starting ${name}`);
      if (storage.kind === 'disk') await mkdir(join(storage.directory, folderOf(name)), { recursive: true });
      const registry = await startRegistry(name, { storage, directory });
      const run = { registry, taken: emptySamples(measure), sample: async (): Promise<number[]> => [] };
      runs.push(run);
      run.sample = await measure.prepare(registry, sizes);
      await run.sample(); // warms up
    }
    for (let round = 1; round <= samples; round++) {
      for (const run of runs) {
        const what = `${measure.name}: ${round} of ${samples}, ${run.registry.name}`;
        progress(what);
        if (measure.fills) await emptyStorage(storage, run.registry.name);
        await takeSample(run, { ...options, progress: (text) => progress(`${what}, ${text}`) });
      }
    }
    return new Map(runs.map(({ registry, taken }) => [registry.name, taken]));
  } finally {
    for (const { registry } of runs) {
      await registry.stop();
      await emptyStorage(storage, registry.name);
    }
    await rm(directory, { recursive: true, force: true });
  }
}

type Run = { registry: Registry; taken: Samples; sample: () => Promise<number[]> };

async function takeSample({ registry: { pid }, taken, sample }: Run, options: MeasureOptions): Promise<void> {
  const { maxForeignShare, progress } = options;
  for (let attempt = 1; ; attempt++) {
    if (maxForeignShare !== undefined) {
      await quiet((share) => progress(`waiting: others use ${percent(share)} of the machine`));
    }
    await resetPeakMemory(pid);
    const before = cpuSecondsOf(pid);
    const { result, foreignShare } = await foreignShareDuring(sample);
    const wasDisturbed = maxForeignShare !== undefined && foreignShare > maxForeignShare;
    if (wasDisturbed && attempt < ATTEMPTS) {
      progress(`again: others used ${percent(foreignShare)} of the machine`);
      continue;
    }
    for (const [index, value] of result.entries()) taken.values[index]?.push(value);
    taken.cpuSeconds.push(cpuSecondsOf(pid) - before);
    taken.peakMiB.push(await peakMemoryMiB(pid));
    return;
  }
}

function emptySamples({ metrics }: Measure): Samples {
  return { values: metrics.map(() => []), cpuSeconds: [], peakMiB: [] };
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
