import type { Command } from 'commander';
import { ACTIONS, ANONYMOUS, ANONYMOUS_NAME, type Anonymous, groupsOf, type User } from '../auth/callers/caller.ts';
import type { AuthConfig } from '../auth/create-authenticator.ts';
import { type AccessRule, Permissions } from '../auth/rules/permissions.ts';
import { formatRule } from '../config/access-rules.ts';
import { parseV1RepositoryName } from '../model/names.ts';
import { CONFIG_OPTION, type ConfigOptions, loadAndWarn, run } from './support/run.ts';

/** Adds `stowage access`, which applies the access rules of the configuration to a caller. */
export function addAccessCommands(program: Command): void {
  program
    .command('access')
    .description('access rules')
    .command('explain')
    .description('print which actions a user may do in a repository, and the rule that decides each')
    .argument('<user>', 'user name, or anonymous for a client without a login')
    .argument('<repository>', 'name of a repository, such as team/app')
    .addOption(CONFIG_OPTION)
    .option('-g, --group <group...>', 'groups that the user has from an identity provider')
    .action(run(explain));
}

function explain(user: string, name: string, { group = [], ...options }: ConfigOptions & { group?: string[] }): void {
  const { auth } = loadAndWarn(options);
  const repository = parseV1RepositoryName(name);
  const caller = callerOf(user, group, auth);
  const groups = caller.kind === 'user' && caller.groups.length > 0 ? ` (${caller.groups.join(', ')})` : '';
  console.log(`${user}${groups} in ${repository}:`);
  const permissions = auth ? new Permissions(auth.rules) : Permissions.forOpenRegistry();
  for (const action of ACTIONS) {
    const { isAllowed, rule } = permissions.decide(caller, action, repository);
    console.log(`  ${action.padEnd(6)}  ${isAllowed ? 'yes' : 'no '}  ${reasonOf(rule, auth)}`);
  }
}

function callerOf(user: string, given: string[], auth: AuthConfig | undefined): User | Anonymous {
  if (user === ANONYMOUS_NAME) return ANONYMOUS;
  return { kind: 'user', name: user, groups: [...new Set([...groupsOf(user, auth?.groups ?? {}), ...given])] };
}

function reasonOf(number: number | undefined, auth: AuthConfig | undefined): string {
  if (!auth) return 'auth is not set: every caller may do everything';
  if (!auth.rules) return 'access is not set: users may do everything, anonymous callers nothing';
  const rule = number === undefined ? undefined : auth.rules[number - 1];
  return rule ? `rule ${number}: ${format(rule)}` : 'no rule matches';
}

function format(rule: AccessRule): string {
  const parts = Object.entries(formatRule(rule)).map(([key, texts]) => `${key}: [${texts.join(', ')}]`);
  return `{${parts.join(', ')}}`;
}
