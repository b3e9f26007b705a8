import { type Command, InvalidArgumentError } from 'commander';
import { ANYWAY_OPTION, CONFIG_OPTION, loadAndWarn, loadForWriting, run, type WritingOptions } from './support/run.ts';

const DEFAULT_LAYERS_AT_ONCE = 4;

type AdoptOptions = WritingOptions & { dryRun: boolean; layersAtOnce: number };

/** Adds `stowage adopt`. */
export function addAdoptCommand(program: Command): void {
  program
    .command('adopt')
    .description(
      'convert the images that docker-registry wrote, so that v2 clients can pull them; changes no existing object',
    )
    .argument('[repository...]', 'repositories to adopt (default: all)')
    .addOption(CONFIG_OPTION)
    .addOption(ANYWAY_OPTION)
    .option('-n, --dry-run', 'print what there is to do, and write nothing', false)
    .option(
      '--layers-at-once <number>',
      'number of layers to read at the same time, 1 to 999',
      parseCount,
      DEFAULT_LAYERS_AT_ONCE,
    )
    .addHelpText(
      'after',
      '\nCan be interrupted and run again, also while the server runs. Exit code 1 if an image could not be adopted.',
    )
    .action((repositories: string[], options: AdoptOptions) => run(adoptAll)({ repositories, ...options }));
}

async function adoptAll(options: AdoptOptions & { repositories: string[] }): Promise<void> {
  const config = options.dryRun ? loadAndWarn(options) : await loadForWriting(options, 'storage');
  const { adopt } = await import('./support/run-adoption.ts');
  const failed = await adopt(config, options);
  if (failed > 0) process.exitCode = 1;
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError('allowed: 1 to 999');
  return Number(text);
}
