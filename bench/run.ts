// `npm run bench`: Stowage and its peers on the same MinIO, and each on a directory of the same disk, in turn.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { MAX_WORKERS } from '../lib/config/keys.ts';
import { type Minio, startMinio } from '../test/support/minio.ts';
import { assertInstalled } from './load.ts';
import { describeMachine } from './machine.ts';
import { measures } from './measures.ts';
import { peers, type Workers } from './registries.ts';
import { type Counted, type Measured, measuredTables, requestsTable } from './report.ts';
import { countS3Requests } from './s3-requests.ts';
import { takeSamples } from './samples.ts';
import type { RegistryName } from './storage.ts';

const DOCUMENT = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));
const S3_REQUESTS = 's3-requests';
const MAX_FOREIGN_SHARE = 0.1;

type Options = {
  only: string[];
  size: number;
  samples: number;
  workers: Workers;
  smallBlobs: number;
  seconds: number;
  quiet: boolean;
  write: boolean;
};

const names = [...measures.map(({ name }) => name), S3_REQUESTS];

await new Command('npm run bench --')
  .description(`Measures Stowage, distribution and zot side by side, on a MinIO of their own and on disk.`)
  .addOption(new Option('--only <names...>', 'measures to run').choices(names).default(names, 'everything'))
  .option('--size <MiB>', 'size of the large layer', parseCount, 1024)
  .option('--samples <number>', 'samples of each registry, after one for warming up', parseCount, 3)
  .option('--small-blobs <number>', 'number of blobs that one sample pushes', parseCount, 200)
  .option('--seconds <number>', 'duration of one sample of manifest requests', parseCount, 4)
  .option('--workers <number>', 'processes of Stowage that serve, or auto for one for each CPU', parseWorkers, 1)
  .option(
    '--quiet',
    'wait until the machine is otherwise idle, and repeat samples that other processes disturbed',
    false,
  )
  .option('--write', `put the tables into ${relative(process.cwd(), DOCUMENT)}`, false)
  .addHelpText(
    'after',
    '\nAll of it takes about 25 minutes and 5 GB of disk. Needs curl, wrk and MinIO: .ci/install-tools minio registry wrk.',
  )
  .action(bench)
  .parseAsync();

async function bench({ only, samples, workers, quiet, write, size, smallBlobs, seconds }: Options): Promise<void> {
  assertInstalled();
  const registries: RegistryName[] = ['Stowage'];
  for (const name of ['distribution', 'zot'] as const) {
    const { isInstalled, version, path, howToGet } = peers[name];
    if (isInstalled) registries.push(name);
    else console.error(`${name} ${version} is left out: it is not at ${path} (to get it: ${howToGet})`);
  }
  const failures: string[] = [];
  const onFailure = (what: string) => (name: RegistryName, error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    failures.push(`${what}, ${name}`);
    console.error(`\n${what}, ${name}: ${message}`);
  };
  // All files, MinIO's objects included, lie in one directory, which is removed at every kind of exit.
  const directory = mkdtempSync(join(tmpdir(), 'stowage-bench-'));
  process.env.TMPDIR = directory;
  let minio: Promise<Minio> | undefined;
  const bucket = () => (minio ??= startMinio());
  process.once('exit', () => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  try {
    const measured: Measured[] = [];
    for (const measure of measures.filter(({ name }) => only.includes(name))) {
      const taken = await takeSamples(measure, {
        bucket,
        names: registries,
        sizes: { bigMiB: size, smallBlobs, seconds },
        ...{ samples, workers },
        onFailure: onFailure(measure.name),
        maxForeignShare: quiet ? MAX_FOREIGN_SHARE : undefined,
        progress,
      });
      measured.push({ measure, samples: taken });
    }
    const counted: Counted = new Map();
    if (only.includes(S3_REQUESTS)) {
      const peerNames = ['distribution', 'distribution without cache'] as const;
      for (const name of ['Stowage' as const, ...(peers.distribution.isInstalled ? peerNames : [])]) {
        try {
          counted.set(name, await countS3Requests(await bucket(), name, progress));
        } catch (error) {
          onFailure(S3_REQUESTS)(name, error);
        }
      }
    }
    progress('');
    const how =
      `Medians of ${samples} samples (lowest–highest); one layer: ${size} MiB; small blobs: ${smallBlobs}; ` +
      `workers of Stowage: ${workers}, but for the rows of one worker.`;
    const report = [
      describeMachine(),
      how,
      ...measuredTables(measured),
      ...(counted.size > 0 ? [requestsTable(counted)] : []),
      ...(failures.length > 0 ? [`Failed, so that it is not in the tables: ${failures.join('; ')}.`] : []),
    ].join('\n\n');
    console.log(report);
    if (write) writeReport(report);
    if (failures.length > 0) process.exitCode = 1;
  } finally {
    await (await minio)?.stop();
  }
}

/** Replaces the text between the two marker comments. */
function writeReport(report: string): void {
  const text = readFileSync(DOCUMENT, 'utf8');
  const replaced = text.replace(
    /(<!-- results -->\n)[\s\S]*(<!-- end of results -->)/,
    (_, start, end) => `${start}\n${report}\n\n${end}`,
  );
  if (replaced === text) throw new Error(`${DOCUMENT} has no place for results`);
  writeFileSync(DOCUMENT, replaced);
}

/** On a terminal one line that is overwritten, elsewhere a line per step. */
function progress(text: string): void {
  if (!process.stderr.isTTY) {
    if (text) process.stderr.write(`${text}\n`);
    return;
  }
  process.stderr.write(`\r\u001b[K${text}`);
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('allowed: a whole number from 1 on');
  return count;
}

function parseWorkers(text: string): Workers {
  const count = text === 'auto' ? text : parseCount(text);
  if (count !== 'auto' && count > MAX_WORKERS) throw new InvalidArgumentError(`allowed: auto, or 1 to ${MAX_WORKERS}`);
  return count;
}
