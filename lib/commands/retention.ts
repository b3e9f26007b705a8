import type { Command } from 'commander';
import {
  ANYWAY_OPTION,
  CONFIG_OPTION,
  type ConfigOptions,
  loadAndWarn,
  loadForWriting,
  run,
  type WritingOptions,
} from './support/run.ts';

type Output = { json: boolean; dryRun: boolean };

const JSON_OPTION = ['--json', 'print a line of JSON for each tag, and one for the plan', false] as const;

/** Adds `stowage retention`, which deletes tags by the rules of the configuration. */
export function addRetentionCommands(program: Command): void {
  const retention = program
    .command('retention')
    .description('delete tags by the rules of the configuration; a server may run meanwhile');
  retention
    .command('plan')
    .description('list which tags the rules keep and which they delete, and store that as a plan; deletes nothing')
    .addOption(CONFIG_OPTION)
    .addOption(ANYWAY_OPTION)
    .option(
      '--rules <file>',
      'a file with a list of rules, or a section retention, in place of that of the configuration',
    )
    .option('-n, --dry-run', 'store no plan', false)
    .option(...JSON_OPTION)
    .action(run(plan));
  retention
    .command('apply')
    .description('delete the tags that a plan lists for deletion, but those that have moved since')
    .argument('[plan]', 'the id of the plan')
    .addOption(CONFIG_OPTION)
    .addOption(ANYWAY_OPTION)
    .option('--now', 'make a plan and apply it', false)
    .option('-n, --dry-run', 'print what would be deleted, and delete nothing', false)
    .option(...JSON_OPTION)
    .addHelpText('after', '\nCan be interrupted and run again. Exit code 1 if a tag of the plan was not deleted.')
    .action(run(apply));
  retention
    .command('undo')
    .description('restore the tags that a plan has deleted, but those that were set again since')
    .argument('<plan>', 'the id of the plan')
    .addOption(CONFIG_OPTION)
    .addOption(ANYWAY_OPTION)
    .option('-n, --dry-run', 'print what would be restored, and restore nothing', false)
    .option(...JSON_OPTION)
    .addHelpText('after', '\nCan be interrupted and run again. Exit code 1 if a tag of the plan was not restored.')
    .action(run(undo));
  retention
    .command('list')
    .description('list the plans, oldest first')
    .addOption(CONFIG_OPTION)
    .option('--json', 'print a line of JSON for each plan', false)
    .action(run(list));
}

async function plan(options: WritingOptions & Output & { rules?: string }): Promise<void> {
  const config = await configFor(options);
  const { plan: makePlan } = await import('./support/run-retention.ts');
  await makePlan(config, options);
}

async function apply(id: string | undefined, options: WritingOptions & Output & { now: boolean }): Promise<void> {
  if ((id === undefined) !== options.now) throw new Error('name a plan, or give --now to make one');
  const config = await configFor(options);
  const { apply: applyPlan } = await import('./support/run-retention.ts');
  if ((await applyPlan(config, { id, ...options })) > 0) process.exitCode = 1;
}

async function undo(id: string, options: WritingOptions & Output): Promise<void> {
  const config = await configFor(options);
  const { undo: undoPlan } = await import('./support/run-retention.ts');
  if ((await undoPlan(config, { id, ...options })) > 0) process.exitCode = 1;
}

async function list(options: ConfigOptions & { json: boolean }): Promise<void> {
  const { list: listPlans } = await import('./support/run-retention.ts');
  await listPlans(loadAndWarn(options), options);
}

async function configFor(options: WritingOptions & Output) {
  return options.dryRun ? loadAndWarn(options) : await loadForWriting(options, 'storage');
}
