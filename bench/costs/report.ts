import type { Counts, Measured } from './measure.ts';
import { PRICES, type Price } from './prices.ts';

/** Of a call, on Lambda: an assumption, since nothing was measured there. The memory is the template's. */
const SECONDS_A_CALL = 0.05;
const MEMORY_GB = 1;

const SECRETS = 2;
const ALARMS = 4;

const PULLS = [10_000, 100_000, 1_000_000];
const STORED_GB = [10, 100, 1000];

/** The tables of docs/costs.md. */
export function costsDocument({ push, pull, layers }: Measured, date: string): string {
  const fixed = SECRETS * PRICES.secretMonth.dollars + ALARMS * PRICES.alarmMonth.dollars;
  const requestRows = PULLS.map((pulls) => {
    const cost = costOf(pull);
    const parts = [cost.gateway, cost.lambda, cost.s3].map((dollars) => money(dollars * pulls));
    return [pulls.toLocaleString('en'), ...parts, money(cost.total * pulls), '$0.00'];
  });
  const storageRows = STORED_GB.map((gigabytes) => [
    `${gigabytes} GB`,
    money(gigabytes * PRICES.s3GigabyteMonth.dollars),
    money(gigabytes * PRICES.ecrGigabyteMonth.dollars),
  ]);
  const counted = (counts: Counts) => [
    String(counts.gateway),
    String(counts.functions.Api ?? 0),
    String(counts.functions.Authorizer ?? 0),
    String(counts.functions.ViewWorker ?? 0),
    String(counts.s3Reads),
    String(counts.s3Writes),
  ];
  return `# What it costs

Written by \`npm run costs\` on ${date}: requests as they were counted, times prices as they were read. Bytes that leave AWS cost
${money(PRICES.egressGigabyte.dollars)} a GB here as there, and soon more than all the rest; within the region they cost nothing.

## Requests of one image (${layers} layers, Docker 29, in the stack behind the stand-in for API Gateway)

${table(
  ['', 'gateway', 'Api', 'Authorizer', 'ViewWorker', 'S3 reads', 'S3 writes'],
  [
    ['push', ...counted(push)],
    ['pull', ...counted(pull)],
  ],
)}

S3 reads of a pull include those by the client itself, to which layers come from S3. The authorizer's answer holds for five
minutes, so many pulls share one. What a push sends to the push endpoint is not in the first column.

## Pulls

${table(['pulls', 'API Gateway', 'Lambda', 'S3', 'Stowage', 'ECR'], requestRows)}

A thousand pushes cost ${money(costOf(push).total * 1000)} in the same way, without the Web Function that takes their layers: **no price of it could be
found**, so it is in no figure here. A call of Lambda is taken to last ${SECONDS_A_CALL * 1000} ms at ${MEMORY_GB} GB, which was not measured on AWS.

## Storage, a month

${table(['', 'Stowage (S3 Standard)', 'ECR'], storageRows)}

Besides, whatever happens: ${SECRETS} secrets and ${ALARMS} alarms, ${money(fixed)} a month; logs by what is written.

## Prices

${table(['price', 'for', 'read in'], Object.values(PRICES).map(priceRow))}

They are those of us-east-1, of pages that quote AWS, since none of AWS's own tables could be read; a free tier is not counted.
`;
}

function costOf({ gateway, functions, s3Reads, s3Writes }: Counts) {
  const calls = Object.values(functions).reduce((sum, count) => sum + count, 0);
  const seconds = calls * SECONDS_A_CALL * MEMORY_GB;
  const cost = {
    gateway: (gateway * PRICES.gatewayMillion.dollars) / 1_000_000,
    lambda: (calls * PRICES.lambdaMillion.dollars) / 1_000_000 + seconds * PRICES.lambdaGigabyteSecond.dollars,
    s3: (s3Reads * PRICES.s3ReadThousand.dollars + s3Writes * PRICES.s3WriteThousand.dollars) / 1000,
  };
  return { ...cost, total: cost.gateway + cost.lambda + cost.s3 };
}

const priceRow = ({ dollars, per, source }: Price) => [`$${dollars}`, per, source];

const money = (dollars: number) => `$${dollars.toFixed(2)}`;

function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
