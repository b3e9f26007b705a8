// `npm run bench:scale`: what lists, searches and the programs that go through all of storage cost in a bucket of ten million
// blobs. Another process simulates the bucket, and each step has a process of its own, so its memory is its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { COLLECTION_TIMES } from '../../lib/registry/condemned/times.ts';
import { type ScaleRow, scaleLine, scaleTable, usedPrices } from './report.ts';
import type { SimulatedSize } from './simulator.ts';
import { type Simulator, withSimulator } from './simulator-process.ts';
import type { StepMessage } from './step.ts';
import type { StepName } from './steps.ts';
import { BLOBS_PER_TAG, type BucketSize, repositoryName, wideTag } from './synthetic-bucket.ts';

type Options = {
  repositories: number;
  blobs: number;
  tags: number;
  garbage: number;
  runs: number;
  projections: boolean;
  heap: number | undefined;
  steps: string[];
};

const MINUTE_MS = 60_000;

const GROUPS = ['lists', 'adopt', 'collect', 'usage', 'retention'];

await new Command('npm run bench:scale --')
  .description('Measures requests, time and memory on a simulated bucket.')
  .option('--repositories <number>', 'repositories', parseCount, 100_000)
  .option('--blobs <number>', 'blobs in use: ten for each tag of these repositories', parseCount, 10_000_000)
  .option('--tags <number>', 'tags of one further repository', parseCount, 1_000_000)
  .option(
    '--garbage <number>',
    'blobs without a link, links without a manifest, projections without one',
    parseCount,
    100_000,
  )
  .option('--runs <number>', 'runs of the collector, with its grace period in between', parseCount, 3)
  .option('--no-projections', 'leave the v1 images out')
  .option('--heap <MiB>', 'the largest heap of the process that is measured', parseCount)
  .option('--steps <names...>', `what to measure: ${GROUPS.join(', ')}`, GROUPS)
  .action(scale)
  .parseAsync();

async function scale(options: Options): Promise<void> {
  const { repositories, blobs, tags, garbage, runs, projections, heap, steps } = options;
  const tagsPerRepository = Math.max(1, Math.round(blobs / BLOBS_PER_TAG / repositories));
  const size: BucketSize = {
    ...{ repositories, tagsPerRepository, unlinkedBlobs: garbage, unusedLinks: Math.min(garbage, repositories) },
    ...{ hasProjections: projections, unusedProjections: projections ? garbage : 0 },
  };
  const rows: ScaleRow[] = [];
  const descriptions: string[] = [];
  const measure = async (bucket: SimulatedSize, work: (step: Step) => Promise<void>) => {
    await withSimulator(bucket, async (simulator) => {
      const contents = Object.entries(await simulator.client.call('contents'));
      descriptions.push(`${contents.map(([name, count]) => `${count.toLocaleString('en-US')} ${name}`).join(', ')}.`);
      await work(stepIn(simulator, { rows, heap }));
    });
  };
  if (steps.includes('lists')) {
    const inOneNamespace = { repositoriesPerNamespace: repositories, wideTags: tags };
    await measure({ ...size, ...inOneNamespace, hasProjections: false, unusedProjections: 0 }, async (step) => {
      await step('catalog', 'catalog, the first 1,000 repositories');
      await step('catalog', 'catalog, the last 1,000', repositoryName(repositories - 1000, repositories));
      await step('tags', 'tags of one repository, the first 1,000');
      await step('tags', 'tags of one repository, the last 1,000', wideTag(tags - 1001));
      await step('all tags', 'tags of one repository, all in one answer');
      await step('search', 'search');
    });
  }
  if (steps.includes('adopt')) {
    await measure({ old: { repositories, tagsPerRepository } }, async (step) => {
      await step('adopt', 'plan of an adoption');
    });
  }
  if (['collect', 'usage', 'retention'].some((name) => steps.includes(name))) {
    await measure(size, async (step) => {
      if (steps.includes('usage')) await step('usage', 'usage run');
      if (steps.includes('retention')) await step('retention', 'plan of retention');
      if (!steps.includes('collect')) return;
      for (let run = 1; run <= runs; run++) {
        await step('collect', `collector, run ${run}`);
        await step.advance(COLLECTION_TIMES.graceMs + MINUTE_MS);
      }
    });
  }
  console.log([...descriptions, scaleTable(rows), `Prices: ${usedPrices()}.`].join('\n\n'));
}

type Step = ((name: StepName, title: string, after?: string) => Promise<void>) & {
  advance: (milliseconds: number) => Promise<void>;
};

function stepIn(
  { socketPath, client }: Simulator,
  { rows, heap }: { rows: ScaleRow[]; heap: number | undefined },
): Step {
  const execArgv = heap === undefined ? process.execArgv : [...process.execArgv, `--max-old-space-size=${heap}`];
  let aheadMs = 0;
  const step = async (name: StepName, title: string, after = '') => {
    const child = fork(join(import.meta.dirname, 'step.ts'), [socketPath, name, String(aheadMs), after], { execArgv });
    let result: Omit<ScaleRow, 'name'> | undefined;
    child.on('message', (message: StepMessage) => {
      if ('line' in message) process.stderr.write(`${title}: ${message.line}\n`);
      else if ('error' in message) process.stderr.write(`${title}: ${message.error}\n`);
      else result = message;
    });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (!result) throw new Error(`${title} ended with ${code}`);
    const row = { name: title, ...result };
    rows.push(row);
    process.stderr.write(`${scaleLine(row)}\n`);
  };
  return Object.assign(step, {
    advance: async (milliseconds: number) => {
      aheadMs = await client.call('advance', milliseconds);
    },
  });
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 0) throw new InvalidArgumentError('allowed: a whole number from 0 on');
  return count;
}
