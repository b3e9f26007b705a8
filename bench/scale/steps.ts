// What is measured, each in a process of its own.
import type { KeyPrefix } from '../../lib/model/layout.ts';
import { Collector } from '../../lib/registry/collector/collector.ts';
import type { CollectionReport } from '../../lib/registry/collector/report.ts';
import { collectorStages } from '../../lib/registry/collector/stages.ts';
import { assembleRegistry, type Registry } from '../../lib/registry/registry.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { WIDE } from './synthetic-bucket.ts';

const MINUTE_MS = 60_000;
const UNDO_MS = 14 * 24 * 60 * MINUTE_MS;

/** The answers of the registry hold so many names, where the client does not ask for all. */
const PAGE = 1000;

/** Tags of each repository that the rule of a plan keeps. */
const KEPT_TAGS = 10;

export type StepInput = {
  /** The position of a list: what comes up to it is left out. */
  after: string;
  storage: StorageDriver;
  /** By the clock of storage. */
  now: () => Date;
  /** A line for the person who waits. */
  onProgress: (line: string) => void;
};

export const STEPS = {
  listing: listAll,
  catalog: catalogPage,
  tags: (input) => tagsPage(input, PAGE),
  'all tags': (input) => tagsPage(input, Number.POSITIVE_INFINITY),
  search,
  adopt: adoptionPlan,
  collect,
  usage,
  retention,
} satisfies Record<string, (input: StepInput) => Promise<unknown>>;

export type StepName = keyof typeof STEPS;

/** The least that a program which looks at every object can take. */
async function listAll({ storage }: StepInput): Promise<void> {
  for await (const _ of storage.list('' as KeyPrefix));
}

function open({ storage }: StepInput): Registry {
  return assembleRegistry(storage, { copiesLayers: false });
}

async function catalogPage(input: StepInput): Promise<void> {
  const { names } = await open(input).catalog.page({ size: PAGE, ...(input.after && { after: input.after }) });
  if (names.length === 0) throw new Error('the page is empty');
}

async function tagsPage(input: StepInput, size: number): Promise<void> {
  const tags: string[] = [];
  for await (const tag of open(input).tags.list(WIDE, { after: input.after })) {
    if (tags.push(tag) >= size) break;
  }
  if (JSON.stringify(tags).length < PAGE) throw new Error('there are fewer tags');
}

async function search(input: StepInput): Promise<unknown> {
  return await open(input).search.find('app-00', { page: 1, size: 25, isShown: () => true });
}

async function adoptionPlan(input: StepInput): Promise<void> {
  const plan = await open(input).adoption.plan();
  input.onProgress(`${plan.tagCount} tags, ${plan.unreadCount} layers to read`);
  await plan.close();
}

async function usage(input: StepInput): Promise<void> {
  const { overview } = await open(input).usage.run();
  input.onProgress(`${overview.objects} objects`);
}

async function retention(input: StepInput): Promise<void> {
  const rules = [{ number: 1, repositories: ['**'], keep: { last: KEPT_TAGS } }];
  let count = 0;
  for await (const _ of open(input).retention.preview({ rules })) count++;
  input.onProgress(`${count} tags`);
}

async function collect({ storage, now, onProgress }: StepInput): Promise<void> {
  const stages = collectorStages({ undoMs: UNDO_MS, findSources: async () => new Set() });
  const started = performance.now();
  let shownMinute = -1;
  const outcome = await new Collector(storage, { stages, now }).collect({
    onProgress: (stage: string, report: CollectionReport) => {
      const minute = Math.floor((performance.now() - started) / MINUTE_MS);
      if (minute === shownMinute) return;
      shownMinute = minute;
      const mebibytes = Math.round(process.memoryUsage.rss() / 1024 ** 2);
      onProgress(`${minute} min, ${stage}, ${report.objectsListed.toLocaleString('en-US')} objects, ${mebibytes} MiB`);
    },
  });
  if (outcome.kind !== 'complete') throw new Error(JSON.stringify(outcome));
  const { actions, kept, problems } = outcome.report;
  onProgress(JSON.stringify({ actions, kept, problems }));
}
