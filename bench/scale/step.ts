// The process of one step. Arguments: the socket of the simulator, the step, how far the clock of storage is ahead in
// milliseconds, and the position in a list.
import type { RequestCounts } from './simulated-storage.ts';
import { SimulatorClient } from './simulator-client.ts';
import { STEPS, type StepName } from './steps.ts';

/** What the process sends to its parent. */
export type StepMessage =
  | { line: string }
  | { requests: RequestCounts; seconds: number; peakBytes: number }
  | { error: string };

const [socketPath = '', name = '', aheadMs = '0', after = ''] = process.argv.slice(2);
const send = (message: StepMessage) => process.send?.(message);

try {
  const storage = await SimulatorClient.connect(socketPath);
  const before = await storage.call('requests');
  const started = performance.now();
  await STEPS[name as StepName]({
    ...{ storage, after },
    now: () => new Date(Date.now() + Number(aheadMs)),
    onProgress: (line) => send({ line }),
  });
  const seconds = (performance.now() - started) / 1000;
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  send({ requests: countsSince(before, await storage.call('requests')), seconds, peakBytes });
  await storage.close();
} catch (error) {
  send({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
process.disconnect?.();

function countsSince(before: RequestCounts, now: RequestCounts): RequestCounts {
  const kinds = Object.keys(now) as (keyof RequestCounts)[];
  return Object.fromEntries(kinds.map((kind) => [kind, now[kind] - before[kind]])) as RequestCounts;
}
