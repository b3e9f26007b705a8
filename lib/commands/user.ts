import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { groupsOf } from '../auth/callers/caller.ts';
import { type HtpasswdPlace, openSource } from '../auth/create-authenticator.ts';
import { hashPassword, isPassword, MAX_PASSWORD_BYTES, unmatchedHash } from '../auth/passwords/bcrypt.ts';
import { isUserName, parseHtpasswd, USER_NAME_ALLOWED } from '../auth/passwords/htpasswd.ts';
import type { Config } from '../config/config.ts';
import { hasCode } from '../model/has-code.ts';
import { readNewPassword, readPassword } from './support/read-password.ts';
import { replaceFile } from './support/replace-file.ts';
import {
  ANYWAY_OPTION,
  CONFIG_OPTION,
  type ConfigOptions,
  loadAndWarn,
  loadForWriting,
  run,
  type WritingOptions,
} from './support/run.ts';

/** Adds `stowage user`, which manages the users of the configured htpasswd file. */
export function addUserCommands(program: Command): void {
  const user = program.command('user').description('users that can log in with a password');
  const add = (name: string, description: string) =>
    user.command(name).description(description).addOption(CONFIG_OPTION);
  add(
    'add',
    'add a user, or change its password; asks for it twice, or reads it from standard input if that is no terminal',
  )
    .argument('<name>')
    .addOption(ANYWAY_OPTION)
    .action(run(addUser));
  add('remove', 'remove a user').argument('<name>').addOption(ANYWAY_OPTION).action(run(removeUser));
  add('list', 'list the users').action(run(listUsers));
  add('check', 'check the password of a user; exit code 1 if it is wrong').argument('<name>').action(run(checkUser));
}

async function addUser(name: string, options: WritingOptions): Promise<void> {
  const place = htpasswdPlace(await loadForWriting(options, 'users'));
  if (!isUserName(name)) {
    throw new Error(`${name} is not allowed as a user name; allowed: ${USER_NAME_ALLOWED}`);
  }
  const password = await readNewPassword(name);
  const lengthBytes = Buffer.byteLength(password);
  if (lengthBytes === 0 || lengthBytes > MAX_PASSWORD_BYTES) {
    throw new Error(`a password must have 1 to ${MAX_PASSWORD_BYTES} bytes; this one has ${lengthBytes}`);
  }
  const line = `${name}:${await hashPassword(password)}`;
  if (place.kind !== 'file') {
    console.log(line);
    console.error(`Nothing was written: Stowage only reads ${describe(place)}. Add this line there.`);
    return;
  }
  const lines = await readLines(place.path);
  const others = lines.filter((other) => nameOf(other) !== name);
  await writeLines(place.path, [...others, line]);
  console.error(
    others.length === lines.length
      ? `${name} was added in ${resolve(place.path)}`
      : `${name} has a new password in ${resolve(place.path)}`,
  );
}

async function removeUser(name: string, options: WritingOptions): Promise<void> {
  const place = htpasswdPlace(await loadForWriting(options, 'users'));
  if (place.kind !== 'file')
    throw new Error(`nothing was written: Stowage only reads ${describe(place)}; remove the line of ${name} there`);
  const lines = await readLines(place.path);
  const others = lines.filter((line) => nameOf(line) !== name);
  if (others.length === lines.length) throw new Error(`there is no user ${name} in ${place.path}`);
  await writeLines(place.path, others);
  console.error(`${name} was removed in ${resolve(place.path)}`);
}

async function listUsers(options: ConfigOptions): Promise<void> {
  const config = loadAndWarn(options);
  const { hashes, problems } = await readUsers(config);
  for (const problem of problems) console.error(problem);
  for (const name of [...hashes.keys()].sort()) {
    const groups = groupsOf(name, config.auth?.groups ?? {});
    console.log(groups.length > 0 ? `${name}  (${groups.join(', ')})` : name);
  }
}

async function checkUser(name: string, options: ConfigOptions): Promise<void> {
  const { hashes, problems } = await readUsers(loadAndWarn(options));
  for (const problem of problems) console.error(problem);
  const isRight = await isPassword(await readPassword(name), hashes.get(name) ?? unmatchedHash());
  console.log(isRight ? 'right' : 'wrong');
  if (!isRight) process.exitCode = 1;
}

function htpasswdPlace({ auth, file }: Config): HtpasswdPlace {
  if (!auth?.htpasswd) throw new Error(`${file}: auth.htpasswd is not set: there are no users with a password`);
  return auth.htpasswd;
}

function describe(place: HtpasswdPlace): string {
  if (place.kind === 'file') return place.path;
  return place.kind === 'secret' ? place.arn : `s3://${place.bucket}/${place.key}`;
}

async function readUsers(config: Config): Promise<ReturnType<typeof parseHtpasswd>> {
  const source = await openSource(htpasswdPlace(config), config.storage);
  return parseHtpasswd((await source.read())?.text ?? '');
}

async function readLines(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split(/\r?\n/).filter((line) => line !== '');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

async function writeLines(path: string, lines: readonly string[]): Promise<void> {
  await replaceFile(path, lines.map((line) => `${line}\n`).join(''));
}

function nameOf(line: string): string | undefined {
  return line.startsWith('#') ? undefined : line.split(':')[0];
}
