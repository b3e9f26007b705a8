// What one push and one pull by Docker 29 take, counted in the stack behind the stand-in for API Gateway.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, engineKinds, startEngine } from '../../test/e2e/engine.ts';
import { makeCentos } from '../../test/e2e/images.ts';
import { type Deployment, deploy, PASSWORD, USER } from '../../test/gateway/deployment.ts';
import { readPushEndpointStack } from '../../test/gateway/push-endpoint.ts';
import type { Resource } from '../../test/gateway/template.ts';

export type Counts = {
  gateway: number;
  /** Invocations per function, by logical id in the template. */
  functions: Record<string, number>;
  /** Total run time of their handlers on this machine, with MinIO on the same machine. */
  busyMs: number;
  s3Reads: number;
  s3Writes: number;
};

export type Measured = {
  push: Counts;
  pull: Counts;
  layers: number;
  /** Numbers of the stack's resources that are billed per month. */
  secrets: number;
  /** Number of metrics that alarms watch, by which alarms are billed. */
  alarmMetrics: number;
};

export async function measure(): Promise<Measured> {
  const directory = await mkdtemp(join(tmpdir(), 'costs-'));
  const kind = engineKinds.find(({ name }) => name === 'Docker 29');
  if (!kind) throw new Error('there is no Docker 29');
  const image = await makeCentos(directory, 24);
  const deployment = await deploy({ countsS3: true });
  let engine: Engine | undefined;
  try {
    engine = await startEngine(kind);
    const reference = `${deployment.gateway.host}/costs/centos:6.4`;
    await engine.docker('load', '-i', image.archive);
    await engine.docker('tag', image.name, reference);
    await engine.docker('login', '-u', USER, '-p', PASSWORD, deployment.gateway.host);
    const push = await countDuring(deployment, () => run(engine, 'push', reference));
    await engine.removeImages();
    const pull = await countDuring(deployment, () => run(engine, 'pull', reference));
    const resources = [deployment.stack, readPushEndpointStack(deployment.stack)].flatMap((stack) => [
      ...(stack?.resources.values() ?? []),
    ]);
    const allOf = (wanted: string) => resources.filter(({ type }) => type === wanted);
    return {
      push,
      pull,
      layers: image.layers.length,
      secrets: allOf('AWS::SecretsManager::Secret').length,
      alarmMetrics: allOf('AWS::CloudWatch::Alarm').reduce((sum, alarm) => sum + metricsOf(alarm), 0),
    };
  } finally {
    await engine?.stop();
    await deployment.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The metrics of an alarm: one, or those of its formula, which itself does not count. */
function metricsOf({ properties: { Metrics = [] } }: Resource): number {
  return Math.max(1, (Metrics as object[]).filter((metric) => 'MetricStat' in metric).length);
}

const run = async (engine: Engine | undefined, ...args: string[]) => await engine?.docker(...args);

/** How long to wait for events of the bucket after the last request. */
const SETTLE_MS = 3000;

async function countDuring(
  { gateway, functions, s3Requests, events }: Deployment,
  work: () => Promise<unknown>,
): Promise<Counts> {
  const calls = () => Object.fromEntries([...functions].map(([id, found]) => [id, found.calls]));
  const busyMs = () => [...functions.values()].reduce((sum, found) => sum + found.busyMs, 0);
  const before = calls();
  const busyBefore = busyMs();
  gateway.passed.length = 0;
  s3Requests.length = 0;
  await work();
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  await events.idle();
  const reads = s3Requests.filter(({ method, url }) => (method === 'GET' || method === 'HEAD') && !isList(url)).length;
  // DELETE requests are free.
  const deletes = s3Requests.filter(({ method }) => method === 'DELETE').length;
  return {
    gateway: gateway.passed.length,
    functions: Object.fromEntries(Object.entries(calls()).map(([id, count]) => [id, count - (before[id] ?? 0)])),
    busyMs: busyMs() - busyBefore,
    s3Reads: reads,
    s3Writes: s3Requests.length - reads - deletes,
  };
}

function isList(url: string): boolean {
  return url.includes('list-type=2');
}
