import type { Command } from 'commander';
import { ANYWAY_OPTION, CONFIG_OPTION, loadAndWarn, loadForWriting, run, type WritingOptions } from './support/run.ts';

type GcOptions = WritingOptions & { dryRun: boolean; once: boolean; json: boolean };

/** Exit codes beside 0 and 1, by which scripts tell the outcomes apart. */
const EXIT_CODES = { complete: 0, refused: 1, busy: 3, interrupted: 4, 'taken over': 4 } as const;

/** Adds `stowage gc`. */
export function addGcCommand(program: Command): void {
  program
    .command('gc')
    .description(
      'collect what nothing names: manifests, links, and the bytes of blobs; in steps, the grace period apart',
    )
    .addOption(CONFIG_OPTION)
    .addOption(ANYWAY_OPTION)
    .option('-n, --dry-run', 'list what a run that starts now would do, and write nothing', false)
    .option(
      '--once',
      'run once and end, as the command does in any case: servers repeat runs (gc.every in the configuration)',
      false,
    )
    .option('--json', 'print the report as JSON, with a list of what was done', false)
    .addHelpText(
      'after',
      `
A server may run meanwhile, and so may other collectors. What is condemned is removed by a run that starts the grace period
(gc.grace in the configuration) later: bytes are free after up to three such periods. Interrupted by SIGINT or SIGTERM, a run
stores its position, and the next one goes on from there.

Exit codes: 0 the run has ended, 1 an error, or nothing may be collected in this storage, 3 another process works on a run,
4 the run was interrupted.`,
    )
    .action((options: GcOptions) => run(collect)(options));
}

async function collect(options: GcOptions): Promise<void> {
  const config = options.dryRun ? loadAndWarn(options) : await loadForWriting(options, 'storage');
  const { collectGarbage } = await import('./support/run-gc.ts');
  process.exitCode = EXIT_CODES[await collectGarbage(config, options)];
}
