import { type Command, InvalidArgumentError, Option } from 'commander';
import { CONFIG_OPTION, type ConfigOptions, loadAndWarn, run } from './support/run.ts';

/** Of S3 Standard in us-east-1, in dollars a month. https://aws.amazon.com/s3/pricing/ */
const DOLLARS_PER_GIB = 0.023;

const GROUPS = ['repository', 'tag', 'layer'] as const;

type UsageOptions = ConfigOptions & {
  by: (typeof GROUPS)[number];
  price: number;
  top: number;
  last: boolean;
  dryRun: boolean;
  json: boolean;
};

/** Adds `stowage usage`. */
export function addUsageCommand(program: Command): void {
  program
    .command('usage')
    .description('count what repositories take up, and what their deletion would free')
    .argument('[repository...]', 'repositories to show (default: all)')
    .addOption(CONFIG_OPTION)
    .addOption(new Option('--by <group>', 'what to show in a line').choices(GROUPS).default('repository'))
    .option('--price <dollars>', 'price of a GiB for a month', parsePrice, DOLLARS_PER_GIB)
    .option('--top <number>', 'lines to show, largest first', parseTop, 50)
    .option('--last', 'show what the last run counted, and count nothing', false)
    .option('-n, --dry-run', 'count, and do not store the result for the API and --last', false)
    .option('--json', 'print a line of JSON for each line, and one for the total', false)
    .addHelpText('after', '\nA server may run meanwhile. Bytes are unique if no other repository, or tag, uses them.')
    .action((repositories: string[], options: UsageOptions) => run(show)({ repositories, ...options }));
}

async function show(options: UsageOptions & { repositories: string[] }): Promise<void> {
  const config = loadAndWarn(options);
  const { usage } = await import('./support/run-usage.ts');
  await usage(config, options);
}

function parsePrice(text: string): number {
  if (!/^\d+(?:\.\d+)?$/.test(text)) throw new InvalidArgumentError('allowed: dollars, such as 0.023');
  return Number(text);
}

function parseTop(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('allowed: 1 to 999999');
  return Number(text);
}
