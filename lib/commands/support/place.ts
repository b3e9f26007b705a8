import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { Config } from '../../config/config.ts';
import { configuredStorage, s3OptionsOf } from '../../storage/open.ts';
import type { RunningServer } from './running-servers.ts';

/** What a command changes: the objects of the registry, or the users in the htpasswd file. */
export type Written = 'storage' | 'users';

/** How many servers an error names. */
const MAX_NAMED = 3;

/** Where the users are: `/srv/users`, `s3://bucket/users`, the ARN of a secret; undefined without `auth.htpasswd`. */
export function usersPlaceOf({ auth, storage }: Pick<Config, 'auth' | 'storage'>): string | undefined {
  const place = auth?.htpasswd;
  if (!place) return undefined;
  if (place.kind === 'file') return resolve(place.path);
  if (place.kind === 'secret') return place.arn;
  const endpoint = s3OptionsOf(storage)?.endpoint;
  return `s3://${place.bucket}/${place.key}${endpoint === undefined ? '' : ` at ${endpoint}`}`;
}

/**
 * For commands that write: the line that tells the operator that flavor and storage are the default's, because nothing chose
 * them. A server that was started with other variables uses another place.
 */
export function defaultNotice(
  { file, storage, flavor }: Pick<Config, 'file' | 'storage' | 'flavor'>,
  { env, hasFileOption }: { env: NodeJS.ProcessEnv; hasFileOption: boolean },
): string | undefined {
  const chosen = [env.SETTINGS_FLAVOR, env.STORAGE_PATH, env.DOCKER_REGISTRY_CONFIG].some((text) => text !== undefined);
  if (chosen || hasFileOption) return undefined;
  return `SETTINGS_FLAVOR is not set: this is the flavor ${flavor} of ${file}, which keeps everything in ${configuredStorage(storage).location}; set it as for the server, if that has another`;
}

/**
 * Compares the place that a command writes to with that of the running servers of the same configuration file.
 * @returns whether one of them uses that place
 * @throws Error with one line for the operator if there are such servers, and all of them use other places
 */
export async function isPlaceOfServer(
  config: Pick<Config, 'file' | 'flavor' | 'storage' | 'auth'>,
  written: Written,
  running: readonly RunningServer[],
): Promise<boolean> {
  const place = written === 'storage' ? configuredStorage(config.storage).location : usersPlaceOf(config);
  if (place === undefined) return false;
  const others: RunningServer[] = [];
  for (const server of running) {
    if (!(await isSamePlace(server.file, config.file))) continue;
    const used = written === 'storage' ? server.place : server.users;
    if (used !== undefined && (await isSamePlace(used, place))) return true;
    // Without users and with this flavor, it was started before `auth` was added to the file.
    if (used !== undefined || server.flavor !== config.flavor) others.push(server);
  }
  if (others.length > 0) throw new Error(refusal(config, { place, written, others }));
  return false;
}

function refusal(
  { file, flavor }: Pick<Config, 'file' | 'flavor'>,
  { place, written, others }: { place: string; written: Written; others: readonly RunningServer[] },
): string {
  const named = others.slice(0, MAX_NAMED).map((server) => {
    const used = written === 'storage' ? server.place : (server.users ?? 'no htpasswd');
    return `${used} (pid ${server.pid}, ${flavorText(server.flavor)}, ${server.url})`;
  });
  const more = others.length > MAX_NAMED ? `, and ${others.length - MAX_NAMED} more` : '';
  const subject = others.length === 1 ? 'the server that runs' : 'the servers that run';
  // Users in an object or a secret are changed by the operator, by the line that the command prints.
  const isPrinted = written === 'users' && !isAbsolute(place);
  const [would, anyway] = isPrinted ? ['print a line for', 'get the line'] : ['write to', `write to ${place}`];
  return (
    `nothing was written: this command would ${would} ${place} (${flavorText(flavor)}), but ${subject} from ${file} ` +
    `${others.length === 1 ? 'uses' : 'use'} ${named.join(', ')}${more}: ${remedy(flavor, others)}, or add --anyway to ${anyway}`
  );
}

function remedy(flavor: string | undefined, others: readonly RunningServer[]): string {
  const flavors = new Set(others.map((server) => server.flavor).filter((other) => other !== flavor));
  if (flavors.size > 0) return `set ${[...flavors].map((other) => `SETTINGS_FLAVOR=${other ?? "''"}`).join(' or ')}`;
  const [directory] = others.map((server) => server.directory);
  return `use the variables and the working directory of the server (${directory}), restart the server if its configuration has changed`;
}

function flavorText(flavor: string | undefined): string {
  return flavor === undefined ? 'no flavor' : `flavor ${flavor}`;
}

/** Paths are compared by what they lead to now; everything else as it is written. */
async function isSamePlace(a: string, b: string): Promise<boolean> {
  if (a === b) return true;
  return isAbsolute(a) && isAbsolute(b) && (await realPathOf(a)) === (await realPathOf(b));
}

/** Also of a path that is not there yet. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await realPathOf(parent), basename(path));
  }
}
