// `npm run bench:pages`: what the web pages of a large registry take, over MinIO: storage requests, bytes, milliseconds, CPU, and
// the longest time in which the process answers nothing else.
import { createHash } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { gzipSync } from 'node:zlib';
import { Command, InvalidArgumentError } from 'commander';
import { mapConcurrently } from '../lib/concurrency/map-concurrently.ts';
import { layout } from '../lib/model/layout.ts';
import { type Digest, parseDigest, parseRepositoryName, parseTag, type RepositoryName } from '../lib/model/names.ts';
import { encodeFacts } from '../lib/registry/manifests/facts.ts';
import type { StorageDriver } from '../lib/storage/driver.ts';
import { S3Driver } from '../lib/storage/s3-driver.ts';
import { encodeText } from '../lib/streams/bytes.ts';
import { startFaultyProxy } from '../test/storage/faulty-proxy.ts';
import { startMinio } from '../test/support/minio.ts';
import { startRegistry } from '../test/support/registry-server.ts';
import { V2Client } from '../test/v2/client.ts';
import { pushImage } from '../test/v2/image.ts';

type Size = { repositories: number; tags: number };
type Row = {
  page: string;
  requests: number;
  bytes: number;
  coldMs: number;
  warmMs: number;
  cpuMs: number;
  blockedMs: number;
};

const LARGE = parseRepositoryName('large/app');
const PUTS_AT_ONCE = 64;
const WARM_RUNS = 5;

await new Command('npm run bench:pages --')
  .description('Measures the web pages of a large registry on MinIO.')
  .option('--repositories <number>', 'repositories beside the large one', parseCount, 5000)
  .option('--tags <number>', 'tags of the large repository', parseCount, 20_000)
  .action(measurePages)
  .parseAsync();

async function measurePages(size: Size): Promise<void> {
  const minio = await startMinio();
  const direct = new S3Driver(minio.driverOptions);
  const proxy = await startFaultyProxy(minio.endpoint);
  const counted = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
  try {
    const paths = await fillStorage(direct, size);
    const requests = await countRequests(counted, paths, proxy.requests);
    const rows = await timePages(direct, paths);
    console.log(tableOf(rows.map((row, index) => ({ ...row, requests: requests[index] ?? 0 }))));
  } finally {
    await Promise.all([direct.close(), counted.close()]);
    await proxy.close();
    await minio.stop();
  }
}

/** Repositories with a tag and a summary each; one with many tags, each of a manifest of its own. */
async function fillStorage(storage: StorageDriver, { repositories, tags }: Size): Promise<string[]> {
  const server = await startRegistry(storage);
  const { manifest, digest } = await pushImage(new V2Client(server.url), LARGE, 'latest', { contents: ['large'] });
  const hex = digest.slice('sha256:'.length);
  await atOnce(repositories, async (n) => {
    await storage.put(layout.tag(repositoryName(n), parseTag('1.0')), encodeText(hex));
    const lastPush = new Date(Date.UTC(2026, 0, 1) + n * 60_000).toISOString();
    const usage = { repository: repositoryName(n), tags: 1, manifests: 1, metadataBytes: 100, lastPush };
    const bytes = { uniqueBytes: n * 1_000_000, sharedBytes: n, totalBytes: n * 1_000_001 };
    const summary = { ...usage, ...bytes, at: new Date().toISOString() };
    await storage.put(layout.usageSummary(repositoryName(n)), encodeText(JSON.stringify(summary)));
  });
  let some: Digest | undefined;
  await atOnce(tags - 1, async (n) => {
    const text = JSON.stringify({ ...manifest, annotations: { n: String(n) } });
    const own = parseDigest(`sha256:${createHash('sha256').update(text).digest('hex')}`);
    const createdAt = new Date(Date.UTC(2026, 0, 1) + n * 1000);
    const { name, body } = encodeFacts({ kind: 'image', totalBytes: n * 1000, platforms: ['linux/amd64'], createdAt });
    await storage.put(layout.facts(LARGE, own, name), body);
    const tag = parseTag(`${n % 7}.${n % 101}.${n}-build.${own.slice(7, 15)}`);
    await storage.put(layout.tag(LARGE, tag), encodeText(own.slice(7)));
    if (n % 1000 === 0) await storage.put(layout.manifest(LARGE, own), encodeText(text));
    if (n === 0) some = own;
  });
  await new V2Client(server.url).send('POST', '/v2/_stowage/usage');
  await server.idle();
  await server.stop();
  const large = `/ui/r/${LARGE}`;
  return [
    '/ui/',
    '/ui/?sort=size',
    '/ui/?q=app',
    large,
    `${large}?from=${tags - 50}`,
    `${large}?sort=pushed`,
    `${large}?sort=size`,
    `${large}?filter=6.*-build.*`,
    `${large}?tab=untagged`,
    `${large}:latest`,
    `${large}@${some}`,
    `${large}:latest?view=referrers`,
    `/ui/digest?digest=${digest}`,
    '/ui/login',
  ];
}

function repositoryName(n: number): RepositoryName {
  return parseRepositoryName(`team-${n % 40}/app-${String(n).padStart(5, '0')}`);
}

async function atOnce(count: number, run: (n: number) => Promise<void>): Promise<void> {
  await mapConcurrently(
    Array.from({ length: count }, (_, n) => n),
    run,
    PUTS_AT_ONCE,
  );
}

/** The requests of each page while nothing is kept. */
async function countRequests(storage: S3Driver, paths: readonly string[], seen: unknown[]): Promise<number[]> {
  const counts: number[] = [];
  for (const path of paths) {
    const server = await startRegistry(storage);
    await storage.findLimitations();
    seen.length = 0;
    await (await fetch(new URL(path, server.url))).text();
    await server.idle();
    counts.push(seen.length);
    await server.stop();
  }
  return counts;
}

async function timePages(storage: StorageDriver, paths: readonly string[]): Promise<Omit<Row, 'requests'>[]> {
  const rows: Omit<Row, 'requests'>[] = [];
  for (const page of paths) {
    const server = await startRegistry(storage);
    const url = new URL(page, server.url);
    const cold = await timed(url);
    const warm: Awaited<ReturnType<typeof timed>>[] = [];
    for (let run = 0; run < WARM_RUNS; run++) warm.push(await timed(url));
    rows.push({
      page,
      bytes: gzipSync(cold.text).length,
      coldMs: cold.ms,
      warmMs: middle(warm.map(({ ms }) => ms)),
      cpuMs: middle(warm.map(({ cpuMs }) => cpuMs)),
      blockedMs: Math.max(cold.blockedMs, ...warm.map(({ blockedMs }) => blockedMs)),
    });
    await server.stop();
  }
  return rows;
}

async function timed(url: URL): Promise<{ text: string; ms: number; cpuMs: number; blockedMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  const text = await (await fetch(url)).text();
  const [ms, used] = [performance.now() - start, process.cpuUsage(cpu)];
  await new Promise((resolve) => setTimeout(resolve, 5));
  delay.disable();
  return { text, ms, cpuMs: (used.user + used.system) / 1000, blockedMs: delay.max / 1e6 };
}

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

function tableOf(rows: readonly Row[]): string {
  const cells = rows.map(({ page, requests, bytes, ...times }) => {
    const [cold, warm, cpu, blocked] = [times.coldMs, times.warmMs, times.cpuMs, times.blockedMs].map(Math.round);
    return `| ${page.replace(/[a-f0-9]{50,}/, '…')} | ${requests} | ${bytes} | ${cold} | ${warm} | ${cpu} | ${blocked} |`;
  });
  return [
    '| page | requests, nothing kept | bytes, gzip | ms, nothing kept | ms, warm | CPU ms, warm | longest ms without another answer |',
    '|---|---|---|---|---|---|---|',
    ...cells,
  ].join('\n');
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('allowed: a whole number from 1 on');
  return count;
}
