// `npm run scale`: what the programs that go through a whole bucket cost, on a simulated bucket of ten million blobs.
import { Command, InvalidArgumentError } from 'commander';
import type { KeyPrefix } from '../../lib/model/layout.ts';
import { Collector } from '../../lib/registry/collector/collector.ts';
import type { CollectionReport } from '../../lib/registry/collector/report.ts';
import { collectorStages } from '../../lib/registry/collector/stages.ts';
import { COLLECTION_TIMES } from '../../lib/registry/condemned/times.ts';
import { PRICES } from '../costs/prices.ts';
import { measureStep, type ScaleRow, scaleTable } from './measure.ts';
import { SimulatedStorage } from './simulated-storage.ts';
import { SyntheticBucket } from './synthetic-bucket.ts';

type Options = { repositories: number; tags: number; garbage: number; projections: boolean; listing: boolean };

const MINUTE_MS = 60_000;
const UNDO_MS = 14 * 24 * 60 * MINUTE_MS;

await new Command('npm run scale --')
  .description('Measures requests, time and memory on a simulated bucket.')
  .option('--repositories <number>', 'repositories', parseCount, 100_000)
  .option('--tags <number>', 'tags of each repository, with ten blobs and four manifests each', parseCount, 10)
  .option(
    '--garbage <number>',
    'blobs without a link, links without a manifest, projections without one',
    parseCount,
    100_000,
  )
  .option('--no-projections', 'leave the v1 images out')
  .option('--no-listing', 'leave out the listing of every object')
  .action(scale)
  .parseAsync();

async function scale({ repositories, tags, garbage, projections, listing }: Options): Promise<void> {
  const bucket = new SyntheticBucket({
    repositories,
    tagsPerRepository: tags,
    unlinkedBlobs: garbage,
    unusedLinks: Math.min(garbage, repositories),
    hasProjections: projections,
    unusedProjections: projections ? garbage : 0,
  });
  const storage = new SimulatedStorage(bucket);
  const started = performance.now();
  try {
    const rows: ScaleRow[] = [];
    const step = async (name: string, run: () => Promise<unknown>) => {
      const row = await measureStep(storage, name, run);
      rows.push(row);
      process.stderr.write(`${scaleTable([row]).split('\n').at(-1)}\n`);
    };
    if (listing) await step('list every object', () => listAll(storage));
    const collector = new Collector(storage, {
      stages: collectorStages({ undoMs: UNDO_MS, findSources: async () => new Set() }),
      now: () => storage.now,
    });
    const collect = async (name: string) => {
      await step(`collector, ${name}`, () => collectAll(collector, started));
      storage.advance(COLLECTION_TIMES.graceMs + MINUTE_MS);
    };
    await collect('first run');
    await collect('second run, removing what the first condemned');
    await collect('third run');
    const counts = { repositories, tags: bucket.tagCount, blobs: bucket.blobCount, 'v1 images': bucket.imageCount };
    const content = Object.entries(counts).map(([name, count]) => `${count.toLocaleString('en-US')} ${name}`);
    console.log([`${content.join(', ')}.`, scaleTable(rows), `Prices: ${prices()}.`].join('\n\n'));
  } finally {
    await storage.close();
  }
}

async function collectAll(collector: Collector, started: number): Promise<void> {
  let shown = '';
  const onProgress = (stage: string, report: CollectionReport) => {
    const minute = Math.floor((performance.now() - started) / MINUTE_MS);
    const line = `${minute} min, ${stage}`;
    if (line === shown) return;
    shown = line;
    process.stderr.write(`${line}: ${report.objectsListed.toLocaleString('en-US')} objects\n`);
  };
  const outcome = await collector.collect({ onProgress });
  if (outcome.kind !== 'complete') throw new Error(JSON.stringify(outcome));
  const { actions, kept, problems } = outcome.report;
  process.stderr.write(`${JSON.stringify({ actions, kept, problems })}\n`);
}

/** The least that a program which looks at every object can take. */
async function listAll(storage: SimulatedStorage): Promise<void> {
  for await (const _ of storage.list('' as KeyPrefix));
}

function prices(): string {
  const { s3WriteThousand, s3ReadThousand } = PRICES;
  return [s3WriteThousand, s3ReadThousand]
    .map(({ dollars, per, source }) => `$${dollars} per ${per} in us-east-1 (${source})`)
    .join('; ');
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 0) throw new InvalidArgumentError('allowed: a whole number from 0 on');
  return count;
}
