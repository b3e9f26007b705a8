import { type Command, InvalidArgumentError } from 'commander';
import { ACTIONS, type Action } from '../auth/callers/caller.ts';
import { isUserName } from '../auth/passwords/htpasswd.ts';
import { ROBOT_USER, type Robot, Robots } from '../auth/tokens/robots.ts';
import type { Config } from '../config/config.ts';
import { configuredStorage } from '../storage/open.ts';
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

type CreateOptions = WritingOptions & { repositories: string[]; actions: Action[]; expires?: Date };

const UNIT_MS: Record<string, number> = { h: 60 * 60 * 1000, d: 24 * 60 * 60 * 1000 };

/** `stowage token`: what machines log in with. */
export function addTokenCommands(program: Command): void {
  const token = program.command('token').description('tokens for machines');
  token
    .command('create')
    .description('make a token and print it; it cannot be printed again')
    .argument('<name>', 'what it is for, as the log shall name it')
    .requiredOption('-r, --repositories <pattern...>', "where it is good for: team/app, team/*, or '*' for all")
    .requiredOption('-a, --actions <actions>', `what it allows, with commas: ${ACTIONS.join(', ')}`, parseActions)
    .option('-e, --expires <time>', 'when it ends: 12h, 90d, or never (default: never)', parseExpiry)
    .option(CONFIG_OPTION, CONFIG_HELP)
    .option(ANYWAY_OPTION, ANYWAY_HELP)
    .action(run(createToken));
  token.command('list').description('list the tokens').option(CONFIG_OPTION, CONFIG_HELP).action(run(listTokens));
  token
    .command('revoke')
    .description('end a token; it is refused within half a minute, and what was got by it within five more')
    .argument('<id>', 'as list shows it')
    .option(CONFIG_OPTION, CONFIG_HELP)
    .option(ANYWAY_OPTION, ANYWAY_HELP)
    .action(run(revokeToken));
}

async function createToken(name: string, { repositories, actions, expires, ...options }: CreateOptions): Promise<void> {
  if (!isUserName(name)) throw new Error(`${name} cannot be a token's name; allowed: 64 letters, digits and . _ @ + -`);
  await withRobots(await loadForWriting(options, 'storage'), async (robots, place) => {
    const { robot, token } = await robots.create({ name, repositories, actions, expiresAt: expires?.toISOString() });
    console.log(token);
    console.error(
      `${describe(robot)}\nIt is kept in ${place}, and logs in as the user ${ROBOT_USER}, with the token as the password.`,
    );
  });
}

async function listTokens({ config }: { config?: string }): Promise<void> {
  await withRobots(loadAloud(config), async (robots) => {
    for (const robot of await robots.list()) console.log(describe(robot));
  });
}

async function revokeToken(id: string, options: WritingOptions): Promise<void> {
  await withRobots(await loadForWriting(options, 'storage'), async (robots, place) => {
    if (!(await robots.list()).some((robot) => robot.id === id)) throw new Error(`there is no token ${id} in ${place}`);
    await robots.revoke(id);
    console.error(`${id} was revoked in ${place}`);
  });
}

async function withRobots(config: Config, use: (robots: Robots, place: string) => Promise<void>): Promise<void> {
  if (!config.auth) throw new Error(`${config.file}: there is no auth, so nobody needs a token`);
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
  return `${id}  ${name}  ${repositories.join(' ')}  ${actions.join(',')}  ends: ${end}`;
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
