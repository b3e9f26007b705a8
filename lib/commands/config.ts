import type { Command } from 'commander';
import { describeConfig } from '../config/describe.ts';
import { CONFIG_OPTION, type ConfigOptions, load, run } from './support/run.ts';

/** Adds `stowage config`. */
export function addConfigCommand(program: Command): void {
  program
    .command('config')
    .description('print the configuration in effect, with the origin of each value; secrets are masked')
    .addOption(CONFIG_OPTION)
    .action(run(printConfig));
}

function printConfig(options: ConfigOptions): void {
  const loaded = load(options);
  for (const warning of loaded.warnings) console.error(warning);
  process.stdout.write(describeConfig(loaded));
}
