// A server with the times of the collector shortened, and two collectors in its process that run again and again. Started by
// `collector.faults.ts` with the port as its argument.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Background } from '../../lib/concurrency/background.ts';
import { loadConfig } from '../../lib/config/load.ts';
import { createLog } from '../../lib/model/log.ts';
import { Collector } from '../../lib/registry/collector/collector.ts';
import { startNodeServer } from '../../lib/server/node-server.ts';
import { openApp } from '../../lib/server/open-app.ts';
import { openRegistry } from '../../lib/server/open-registry.ts';
import { CONFIG } from '../e2e/stowage.ts';
import { ABANDONED_MS, chaosStages, TIMES } from './chaos-times.ts';

const PAUSE_MS = 100;

const { config } = loadConfig({ env: { SECRET_KEY: randomBytes(32).toString('hex'), ...process.env }, file: CONFIG });
const log = createLog('warning');
const opened = await openRegistry(config, { log, background: new Background(log), times: TIMES });
const app = await openApp(config, opened, { log, version: 'chaos' });
await startNodeServer(app, {
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  trustedProxies: 0,
  isHalfDuplex: false,
});

for (let index = 0; index < 2; index++) void collectForEver();

async function collectForEver(): Promise<void> {
  const collector = new Collector(opened.storage, {
    stages: chaosStages(opened.registry),
    times: TIMES,
    checkpointMs: 200,
    abandonedMs: ABANDONED_MS,
  });
  for (;;) {
    try {
      const outcome = await collector.collect();
      log.warning('collected', { kind: outcome.kind, ...('report' in outcome && { actions: outcome.report.actions }) });
    } catch (error) {
      log.warning('a collection failed', { error });
    }
    await sleep(PAUSE_MS);
  }
}
