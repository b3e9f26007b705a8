import { PRICES } from '../costs/prices.ts';
import type { RequestCounts } from './simulated-storage.ts';

/** What one step took. `peakBytes` is the largest RSS of the process that ran it, which has not run anything else. */
export type ScaleRow = { name: string; requests: RequestCounts; seconds: number; peakBytes: number };

/** What S3 asks for these requests, in dollars. DELETE requests are free. https://aws.amazon.com/s3/pricing/ */
function priceOf({ list, get, head, put, copy }: RequestCounts): number {
  const { s3WriteThousand, s3ReadThousand } = PRICES;
  return ((list + put + copy) * s3WriteThousand.dollars + (get + head) * s3ReadThousand.dollars) / 1000;
}

/** A line of the table. */
export function scaleLine({ name, requests, seconds, peakBytes }: ScaleRow): string {
  const { list, get, head, put, delete: deletions } = requests;
  const cells = [
    name,
    ...[list, get, head, put, deletions].map((count) => count.toLocaleString('en-US')),
    `${seconds < 10 ? seconds.toFixed(2) : Math.round(seconds).toLocaleString('en-US')} s`,
    `${Math.round(peakBytes / 1024 ** 2)} MiB`,
    `$${priceOf(requests).toFixed(2)}`,
  ];
  return `| ${cells.join(' | ')} |`;
}

/** A Markdown table. */
export function scaleTable(rows: readonly ScaleRow[]): string {
  return [
    '| step | LIST | GET | HEAD | PUT | DELETE | time | peak memory | requests cost |',
    '|---|---|---|---|---|---|---|---|---|',
    ...rows.map(scaleLine),
  ].join('\n');
}

export function usedPrices(): string {
  const { s3WriteThousand, s3ReadThousand } = PRICES;
  return [s3WriteThousand, s3ReadThousand]
    .map(({ dollars, per, source }) => `$${dollars} per ${per} in us-east-1 (${source})`)
    .join('; ');
}
