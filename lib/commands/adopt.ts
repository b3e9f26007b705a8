import { type Command, InvalidArgumentError } from 'commander';
import {
  ANYWAY_HELP,
  ANYWAY_OPTION,
  CONFIG_HELP,
  CONFIG_OPTION,
  loadAloud,
  loadForWriting,
  run,
  type WritingOptions,
} from './run.ts';

const DEFAULT_LAYERS_AT_ONCE = 4;

type AdoptOptions = WritingOptions & { dryRun: boolean; layersAtOnce: number };

/** `stowage adopt` */
export function addAdoptCommand(program: Command): void {
  program
    .command('adopt')
    .description('make the images of an old bucket ready for v2 clients, without changing any of its objects')
    .argument('[repository...]', 'repositories to adopt (default: all)')
    .option(CONFIG_OPTION, CONFIG_HELP)
    .option(ANYWAY_OPTION, ANYWAY_HELP)
    .option('-n, --dry-run', 'only say what there is to do', false)
    .option('--layers-at-once <number>', 'how many layers are read side by side', parseCount, DEFAULT_LAYERS_AT_ONCE)
    .addHelpText(
      'after',
      '\nMay be broken off and run again, and run beside a serving registry. Exit code 1 if something could not be adopted.',
    )
    .action((repositories: string[], options: AdoptOptions) => run(adoptAll)({ repositories, ...options }));
}

async function adoptAll(options: AdoptOptions & { repositories: string[] }): Promise<void> {
  const config = options.dryRun ? loadAloud(options.config) : await loadForWriting(options, 'storage');
  const { adopt } = await import('./run-adoption.ts');
  const failed = await adopt(config, options);
  if (failed > 0) process.exitCode = 1;
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError('allowed: 1 to 999');
  return Number(text);
}
