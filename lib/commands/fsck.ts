import { type Command, InvalidArgumentError, Option } from 'commander';
import { ANYWAY_OPTION, CONFIG_OPTION, loadAndWarn, loadForWriting, run, type WritingOptions } from './support/run.ts';

/** Of `lib/registry/fsck`, which is loaded only if the command runs. */
const LEVELS = ['structure', 'manifests', 'bytes'] as const;

type FsckOptions = WritingOptions & {
  level: (typeof LEVELS)[number];
  repair: boolean;
  dryRun: boolean;
  json: boolean;
  sample: number;
  state?: string;
};

/** Adds `stowage fsck`. */
export function addFsckCommand(program: Command): void {
  program
    .command('fsck')
    .description('check that everything in storage fits together, and repair what can be repaired; deletes no bytes')
    .addOption(CONFIG_OPTION)
    .addOption(ANYWAY_OPTION)
    .addOption(
      new Option(
        '--level <level>',
        'structure: compares listings; manifests: also reads and hashes each manifest; bytes: also hashes all bytes',
      )
        .choices(LEVELS)
        .default('structure'),
    )
    .option('--repair', 'repair what is found', false)
    .option('-n, --dry-run', 'with --repair: say what it would do, and write nothing', false)
    .addOption(
      new Option('--sample <percentage>', 'with --level bytes: how much of the objects is hashed: 0.5, 1 or 1%')
        .argParser(parseSample)
        .default(1, '100%'),
    )
    .option('--state <file>', 'with --level bytes: goes on where the run ended that wrote this file')
    .option('--json', 'print a line of JSON for each finding, and one for the result', false)
    .addHelpText(
      'after',
      '\nA server may run meanwhile. Exit code 1 if there are errors: something that clients ask for is broken. Warnings are leftovers.',
    )
    .action((options: FsckOptions) => run(check)(options));
}

async function check(options: FsckOptions): Promise<void> {
  const writes = options.repair && !options.dryRun;
  const config = writes ? await loadForWriting(options, 'storage') : loadAndWarn(options);
  const { fsck } = await import('./support/run-fsck.ts');
  const errors = await fsck(config, options);
  if (errors > 0) process.exitCode = 1;
}

/** @returns the part, 0 to 1 */
function parseSample(text: string): number {
  const [, digits] = /^(\d{1,3}(?:\.\d+)?)%?$/.exec(text) ?? [];
  const percentage = Number(digits);
  if (!(percentage > 0 && percentage <= 100))
    throw new InvalidArgumentError('allowed: a percentage, more than 0 and up to 100');
  return percentage / 100;
}
