import type { Counts, Measured } from './measure.ts';
import { PRICES, type Price } from './prices.ts';

/** The template's default memory. */
const MEMORY_GB = 1;

const PULLS = [10_000, 100_000, 1_000_000];
const STORED_GB = [10, 100, 1000];

/** The tables of docs/costs.md. */
export function costsDocument({ push, pull, layers, secrets, alarmMetrics }: Measured, date: string): string {
  const fixed = secrets * PRICES.secretMonth.dollars + alarmMetrics * PRICES.alarmMonth.dollars;
  const requestRows = PULLS.map((pulls) => {
    const cost = costOf(pull);
    const parts = [cost.gateway, cost.calls, cost.time, cost.s3].map((dollars) => money(dollars * pulls));
    return [pulls.toLocaleString('en'), ...parts, money(cost.total * pulls), '$0.00'];
  });
  const storageRows = STORED_GB.map((gigabytes) => [
    `${gigabytes} GB`,
    money(gigabytes * PRICES.s3GigabyteMonth.dollars),
    money(gigabytes * PRICES.ecrGigabyteMonth.dollars),
  ]);
  const counted = (counts: Counts) => [
    String(counts.gateway),
    String(counts.functions.RequestHandler ?? 0),
    String(counts.functions.Authorizer ?? 0),
    String(counts.functions.ProjectionWorker ?? 0),
    `${counts.busyMs.toFixed(0)} ms`,
    String(counts.s3Reads),
    String(counts.s3Writes),
  ];
  return `# What it costs

Written by \`npm run costs\` on ${date}: counted requests, times published prices. Bytes that leave AWS cost
${money(PRICES.egressGigabyte.dollars)} a GB with Stowage and ECR alike, soon more than all the rest; within the region they cost nothing.

## Requests of one image (${layers} layers, Docker 29, in the stack behind the stand-in for API Gateway)

${table(
  ['', 'gateway', 'RequestHandler', 'Authorizer', 'ProjectionWorker', 'function time', 'S3 reads', 'S3 writes'],
  [
    ['push', ...counted(push)],
    ['pull', ...counted(pull)],
  ],
)}

S3 reads of a pull include the client's own, which downloads layers from S3. API Gateway keeps the authorizer's answer for five
minutes, so many pulls share one. Requests to the push endpoint are not in the first column. The function time was
measured on one machine with MinIO beside the functions, without cold starts: on Lambda it differs, has not been
measured, and changes the cost.

## Pulls

${table(['pulls', 'API Gateway', 'Lambda, calls', 'Lambda, time (as measured)', 'S3', 'Stowage', 'ECR'], requestRows)}

A thousand pushes cost ${money(costOf(push).total * 1000)}, calculated in the same way, without the Web Function that takes their layers: **no price of it could be
found**, so no figure here includes it.

## Storage, a month

${table(['', 'Stowage (S3 Standard)', 'ECR'], storageRows)}

Independent of use: ${secrets} secrets and alarms on ${alarmMetrics} metrics, ${money(fixed)} a month. In addition: reads of secrets, up to one a minute by each instance in
use; logs by the byte, whose price is not included here.

## Prices

${table(['price', 'for', 'read in'], Object.values(PRICES).map(priceRow))}

The prices are those of us-east-1. Most come from pages that quote AWS, since the tables of AWS's own price pages could not be read. A free tier is not counted.
`;
}

function costOf({ gateway, functions, busyMs, s3Reads, s3Writes }: Counts) {
  const calls = Object.values(functions).reduce((sum, count) => sum + count, 0);
  const cost = {
    gateway: (gateway * PRICES.gatewayMillion.dollars) / 1_000_000,
    calls: (calls * PRICES.lambdaMillion.dollars) / 1_000_000,
    time: (busyMs / 1000) * MEMORY_GB * PRICES.lambdaGigabyteSecond.dollars,
    s3: (s3Reads * PRICES.s3ReadThousand.dollars + s3Writes * PRICES.s3WriteThousand.dollars) / 1000,
  };
  return { ...cost, total: cost.gateway + cost.calls + cost.time + cost.s3 };
}

const priceRow = ({ dollars, per, source }: Price) => [`$${dollars}`, per, source];

const money = (dollars: number) => `$${dollars.toFixed(2)}`;

function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
