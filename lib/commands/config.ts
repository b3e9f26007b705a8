import type { Command } from 'commander';
import { describeConfig } from '../config/describe.ts';
import { CONFIG_HELP, CONFIG_OPTION, load, run } from './run.ts';

/** `stowage config` */
export function addConfigCommand(program: Command): void {
  program
    .command('config')
    .description('print the configuration in effect, secrets masked')
    .option(CONFIG_OPTION, CONFIG_HELP)
    .action(run(printConfig));
}

function printConfig({ config: file }: { config?: string }): void {
  const loaded = load(file);
  for (const warning of loaded.warnings) console.error(warning);
  process.stdout.write(describeConfig(loaded));
}
