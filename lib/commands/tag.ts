import { type Command, InvalidArgumentError } from 'commander';
import {
  ANYWAY_OPTION,
  CONFIG_OPTION,
  type ConfigOptions,
  loadAndWarn,
  loadForWriting,
  run,
  type WritingOptions,
} from './support/run.ts';

const DEFAULT_MOVES = 20;

type HistoryOptions = ConfigOptions & { number: number; json: boolean };
type RestoreOptions = WritingOptions & { to?: string; dryRun: boolean; json: boolean };

/** Adds `stowage tag`: the history of a tag, and how to undo its moves. */
export function addTagCommands(program: Command): void {
  const tag = program.command('tag').description('who moved a tag, when and where, and how to undo that');
  tag
    .command('history')
    .description('list the moves of a tag, the newest first')
    .argument('<repository:tag>', 'team/app:1.0')
    .option('-n, --number <number>', 'how many moves to list, 1 to 9999', parseNumber, DEFAULT_MOVES)
    .option('--json', 'print a line of JSON for each move', false)
    .addOption(CONFIG_OPTION)
    .action(run(listMoves));
  tag
    .command('restore')
    .description('make a tag name again what it named before; what it names now stays in the history')
    .argument('<repository:tag>', 'team/app:1.0')
    .option(
      '--to <what>',
      'number of a move in the history, digest, or time such as 2026-01-31T12:00Z (default: what the tag named before its last move)',
    )
    .option('-n, --dry-run', 'say what it would do, and write nothing', false)
    .option('--json', 'print the result as a line of JSON', false)
    .addOption(CONFIG_OPTION)
    .addOption(ANYWAY_OPTION)
    .addHelpText('after', '\nA server may run meanwhile. A push that moves the tag at the same time wins.')
    .action(run(restore));
}

async function listMoves(name: string, options: HistoryOptions): Promise<void> {
  const config = loadAndWarn(options);
  const { printHistory } = await import('./support/run-tag.ts');
  await printHistory(config, name, options);
}

async function restore(name: string, options: RestoreOptions): Promise<void> {
  const config = options.dryRun ? loadAndWarn(options) : await loadForWriting(options, 'storage');
  const { restoreTag } = await import('./support/run-tag.ts');
  await restoreTag(config, name, options);
}

function parseNumber(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('allowed: 1 to 9999');
  return Number(text);
}
