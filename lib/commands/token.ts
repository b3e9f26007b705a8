import { type Command, InvalidArgumentError } from 'commander';
import { ACTIONS, type Action, ROBOT_USER } from '../auth/callers/caller.ts';
import { isUserName, USER_NAME_ALLOWED } from '../auth/passwords/htpasswd.ts';
import { type Robot, Robots } from '../auth/tokens/robots.ts';
import type { Config } from '../config/config.ts';
import { configuredStorage } from '../storage/open.ts';
import {
  ANYWAY_OPTION,
  CONFIG_OPTION,
  type ConfigOptions,
  loadAndWarn,
  loadForWriting,
  run,
  type WritingOptions,
} from './support/run.ts';

type CreateOptions = WritingOptions & { repositories: string[]; actions: Action[]; expires?: Date };

const UNIT_MS: Record<string, number> = { h: 60 * 60 * 1000, d: 24 * 60 * 60 * 1000 };

/** Adds `stowage token`, which manages robots: callers for programs. */
export function addTokenCommands(program: Command): void {
  const token = program.command('token').description('tokens of robots: logins for programs');
  token
    .command('create')
    .description('create a robot and print its token, which cannot be printed again')
    .argument('<name>', 'name of the robot in the log')
    .requiredOption('-r, --repositories <pattern...>', "repositories that it may use: team/app, team/*, or '*' for all")
    .requiredOption(
      '-a, --actions <actions>',
      `actions that it may do, separated by commas: ${ACTIONS.join(', ')}`,
      parseActions,
    )
    .option(
      '-e, --expires <time>',
      'lifetime: hours such as 12h, days such as 90d, or never (default: never)',
      parseExpiry,
    )
    .addOption(CONFIG_OPTION)
    .addOption(ANYWAY_OPTION)
    .action(run(createToken));
  token.command('list').description('list the tokens').addOption(CONFIG_OPTION).action(run(listTokens));
  token
    .command('revoke')
    .description(
      'revoke a token; servers refuse it within half a minute, and access tokens issued for it within five more minutes',
    )
    .argument('<id>', 'id of the token, as `token list` prints it')
    .addOption(CONFIG_OPTION)
    .addOption(ANYWAY_OPTION)
    .action(run(revokeToken));
}

async function createToken(name: string, { repositories, actions, expires, ...options }: CreateOptions): Promise<void> {
  if (!isUserName(name))
    throw new Error(`${name} is not allowed as the name of a robot; allowed: ${USER_NAME_ALLOWED}`);
  await withRobots(await loadForWriting(options, 'storage'), async (robots, place) => {
    const { robot, token } = await robots.create({ name, repositories, actions, expiresAt: expires?.toISOString() });
    console.log(token);
    console.error(
      `${describe(robot)}\nIt is kept in ${place}. Log in with the user name ${ROBOT_USER} and the token as the password.`,
    );
  });
}

async function listTokens(options: ConfigOptions): Promise<void> {
  await withRobots(loadAndWarn(options), async (robots) => {
    for (const robot of await robots.list()) console.log(describe(robot));
  });
}

async function revokeToken(id: string, options: WritingOptions): Promise<void> {
  await withRobots(await loadForWriting(options, 'storage'), async (robots, place) => {
    if (!(await robots.list()).some((robot) => robot.id === id)) throw new Error(`there is no robot ${id} in ${place}`);
    await robots.revoke(id);
    console.error(`${id} was revoked in ${place}`);
  });
}

async function withRobots(config: Config, use: (robots: Robots, place: string) => Promise<void>): Promise<void> {
  if (!config.auth) throw new Error(`${config.file}: auth is not set, so the registry checks no token`);
  const { location, open } = configuredStorage(config.storage);
  const storage = await open();
  try {
    await use(new Robots(storage), location);
  } finally {
    await storage.close();
  }
}

function describe({ id, name, repositories, actions, expiresAt }: Robot): string {
  const end = expiresAt === undefined ? 'never' : expiresAt.slice(0, 16);
  return `${id}  ${name}  ${repositories.join(' ')}  ${actions.join(',')}  expires: ${end}`;
}

function parseActions(text: string): Action[] {
  return text.split(',').map((word) => {
    const action = ACTIONS.find((known) => known === word.trim());
    if (!action) throw new InvalidArgumentError(`allowed: ${ACTIONS.join(', ')}`);
    return action;
  });
}

function parseExpiry(text: string): Date | undefined {
  if (text === 'never') return undefined;
  const [, number = '', unit = ''] = /^([1-9]\d{0,4})([hd])$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit];
  if (unitMs === undefined) throw new InvalidArgumentError('allowed: hours or days such as 12h or 90d, or never');
  return new Date(Date.now() + Number(number) * unitMs);
}
