import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SimulatedSize } from './simulator.ts';
import { SimulatorClient } from './simulator-client.ts';

/** The objects of one repository are made all at once. */
const HEAP_MIB = 8192;

export type Simulator = { socketPath: string; client: SimulatorClient };

/** Runs `work` with a process that simulates a bucket of this size. */
export async function withSimulator(size: SimulatedSize, work: (simulator: Simulator) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'stowage-scale-'));
  const socketPath = join(folder, 'simulator');
  const child = fork(join(import.meta.dirname, 'simulator.ts'), [socketPath, JSON.stringify(size)], {
    execArgv: [...process.execArgv, `--max-old-space-size=${HEAP_MIB}`],
  });
  try {
    const failed = once(child, 'exit').then(([code]) => {
      throw new Error(`the simulator ended with ${code}`);
    });
    await Promise.race([once(child, 'message'), failed]);
    const client = await SimulatorClient.connect(socketPath);
    await Promise.race([work({ socketPath, client }), failed]);
    await client.close();
    failed.catch(() => undefined); // it ends now
  } finally {
    if (child.connected) child.disconnect();
    rmSync(folder, { recursive: true });
  }
}
