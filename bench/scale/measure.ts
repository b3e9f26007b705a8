import { PRICES } from '../costs/prices.ts';
import type { RequestCounts, SimulatedStorage } from './simulated-storage.ts';

export type ScaleRow = { name: string; requests: RequestCounts; seconds: number; peakBytes: number; dollars: number };

const SAMPLE_EVERY_MS = 100;

/** Runs a step against simulated storage. The peak of memory is that of the whole process, the simulator included. */
export async function measureStep(
  storage: SimulatedStorage,
  name: string,
  run: () => Promise<unknown>,
): Promise<ScaleRow> {
  const before = { ...storage.requests };
  const startedAt = performance.now();
  let peakBytes = process.memoryUsage.rss();
  const sampling = setInterval(() => {
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
  }, SAMPLE_EVERY_MS);
  try {
    await run();
  } finally {
    clearInterval(sampling);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const requests = countsSince(before, storage.requests);
  return { name, requests, seconds, peakBytes, dollars: priceOf(requests) };
}

function countsSince(before: RequestCounts, now: RequestCounts): RequestCounts {
  const kinds = Object.keys(now) as (keyof RequestCounts)[];
  return Object.fromEntries(kinds.map((kind) => [kind, now[kind] - before[kind]])) as RequestCounts;
}

/** What S3 asks for these requests, in dollars. DELETE requests are free. https://aws.amazon.com/s3/pricing/ */
function priceOf({ list, get, head, put, copy }: RequestCounts): number {
  const { s3WriteThousand, s3ReadThousand } = PRICES;
  return ((list + put + copy) * s3WriteThousand.dollars + (get + head) * s3ReadThousand.dollars) / 1000;
}

/** A Markdown table. */
export function scaleTable(rows: readonly ScaleRow[]): string {
  const lines = rows.map(({ name, requests, seconds, peakBytes, dollars }) =>
    [
      name,
      ...[requests.list, requests.get, requests.head, requests.put, requests.delete].map((count) =>
        count.toLocaleString('en-US'),
      ),
      `${Math.round(seconds).toLocaleString('en-US')} s`,
      `${Math.round(peakBytes / 1024 ** 2)} MiB`,
      `$${dollars.toFixed(2)}`,
    ].join(' | '),
  );
  return [
    '| step | LIST | GET | HEAD | PUT | DELETE | time | peak memory | requests cost |',
    '|---|---|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}
