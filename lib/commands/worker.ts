import type { Command } from 'commander';
import { createLog } from '../model/log.ts';
import { useFetchClasses } from '../server/use-fetch-classes.ts';
import { ignoreClosedOutput } from './support/closed-output.ts';
import { run } from './support/run.ts';

/** Adds `stowage worker`, which only `stowage serve` runs. */
export function addWorkerCommand(program: Command): void {
  program
    .command('worker', { hidden: true })
    .description('one of the processes of stowage serve --workers, which starts it')
    .action(run(work));
}

async function work(): Promise<void> {
  if (!process.send) throw new Error('stowage serve --workers starts this command; it does nothing by itself');
  ignoreClosedOutput(); // the coordinator can end before this process writes its last lines
  process.on('disconnect', () => process.exit(1));
  // A terminal and systemd signal all processes; the coordinator alone says when this one stops.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
  useFetchClasses();
  const { runWorker } = await import('../workers/worker.ts');
  runWorker(process as never, ({ config }) => createLog(config.logLevel));
}
