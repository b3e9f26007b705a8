import type { Command } from 'commander';
import { ACTIONS, ANONYMOUS, type Anonymous, groupsOf, type User } from '../auth/callers/caller.ts';
import type { AuthConfig } from '../auth/create-authenticator.ts';
import { type AccessRule, Permissions } from '../auth/rules/permissions.ts';
import { formatRule } from '../config/access-rules.ts';
import { parseV1RepositoryName } from '../model/names.ts';
import { CONFIG_HELP, CONFIG_OPTION, loadAloud, run } from './run.ts';

/** `stowage access`: what the rules of the configuration make of somebody. */
export function addAccessCommands(program: Command): void {
  program
    .command('access')
    .description('who may do what')
    .command('explain')
    .description('say what a user may do in a repository, and which rule decides')
    .argument('<user>', 'a user, or anonymous for who has not logged in')
    .argument('<repository>')
    .option(CONFIG_OPTION, CONFIG_HELP)
    .option('-g, --group <group...>', 'groups that an identity provider gives the user')
    .action(run(explain));
}

function explain(
  user: string,
  name: string,
  { config: file, group = [] }: { config?: string; group?: string[] },
): void {
  const { auth } = loadAloud(file);
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
  if (user === 'anonymous') return ANONYMOUS;
  return { kind: 'user', name: user, groups: [...new Set([...groupsOf(user, auth?.groups ?? {}), ...given])] };
}

function reasonOf(number: number | undefined, auth: AuthConfig | undefined): string {
  if (!auth) return 'there is no auth: everybody may do everything';
  if (!auth.rules) return 'there are no rules: who has logged in may do everything, and nobody else anything';
  const rule = number === undefined ? undefined : auth.rules[number - 1];
  return rule ? `rule ${number}: ${format(rule)}` : 'no rule is about this';
}

function format(rule: AccessRule): string {
  const parts = Object.entries(formatRule(rule)).map(([key, texts]) => `${key}: [${texts.join(', ')}]`);
  return `{${parts.join(', ')}}`;
}
