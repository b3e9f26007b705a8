// Generates load on a registry from separate processes.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { PushResult, PushTask } from './client.ts';
import type { FreshResult, FreshTask } from './fresh-connections.ts';
import { median, percentile } from './statistics.ts';

/** A load that takes longer hangs. */
const LONGEST_MS = 300_000;

const CLIENT = fileURLToPath(new URL('client.ts', import.meta.url));
const FRESH_CLIENT = fileURLToPath(new URL('fresh-connections.ts', import.meta.url));
const WRK_SCRIPT = fileURLToPath(new URL('wrk.lua', import.meta.url));

async function execute(command: string, args: readonly string[]): Promise<{ stdout: string }> {
  return await promisify(execFile)(command, args, { timeout: LONGEST_MS });
}

export async function push(task: PushTask): Promise<PushResult> {
  const { stdout } = await execute(process.execPath, [CLIENT, JSON.stringify(task)]);
  return JSON.parse(stdout) as PushResult;
}

/** By curl, which takes 0.3 s of CPU for 1 GiB where Node needs 1.1 s. Follows redirects. Seconds. */
export async function pull(url: string, sizeBytes: number): Promise<number> {
  const format = '%{http_code} %{size_download} %{time_total}';
  const { stdout } = await execute('curl', [
    '--silent',
    '--location',
    '--output',
    '/dev/null',
    '--write-out',
    format,
    url,
  ]);
  const [status, bytes, seconds] = stdout.split(' ').map(Number);
  if (status !== 200 || bytes !== sizeBytes) throw new Error(`GET ${url}: ${stdout}`);
  return seconds ?? 0;
}

export type Requests = { perSecond: number; p50Ms: number; p99Ms: number };

/** GETs by wrk, cycling through the paths; a connection sends its next request after the answer. */
export async function getRepeatedly(
  url: string,
  paths: readonly string[],
  { connections, seconds, accept }: { connections: number; seconds: number; accept: string },
): Promise<Requests> {
  const load = [
    '--threads',
    '1',
    '--connections',
    String(connections),
    '--duration',
    `${seconds}s`,
    '--timeout',
    '10s',
  ];
  const how = [...load, '--header', `Accept: ${accept}`, '--script', WRK_SCRIPT];
  const { stdout } = await execute('wrk', [...how, url, '--', ...paths]);
  const report = JSON.parse(stdout.slice(stdout.lastIndexOf('\n{'))) as Record<string, number>;
  const { requests = 0, microseconds = 0, p50 = 0, p99 = 0, failed = 0 } = report;
  if (failed > 0) throw new Error(`GET ${url}: ${failed} of ${requests} requests failed`);
  return { perSecond: requests / (microseconds / 1e6), p50Ms: p50 / 1000, p99Ms: p99 / 1000 };
}

/** GETs over connections that are all opened at the same moment, one request each, in several rounds. */
export async function getFresh(task: FreshTask): Promise<Requests> {
  const { stdout } = await execute(process.execPath, [FRESH_CLIENT, JSON.stringify(task)]);
  const { seconds, milliseconds } = JSON.parse(stdout) as FreshResult;
  const perSecond = milliseconds.length / seconds;
  return { perSecond, p50Ms: median(milliseconds), p99Ms: percentile(milliseconds, 0.99) };
}

/** @throws Error that says how to install it */
export function assertInstalled(): void {
  for (const [program, how] of [
    ['curl', 'apt-get install curl'],
    ['wrk', '.ci/install-tools wrk'],
  ]) {
    if (!existsSync(`/usr/bin/${program}`)) throw new Error(`the benchmark needs ${program}: ${how}`);
  }
}
