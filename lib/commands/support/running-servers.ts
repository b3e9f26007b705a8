// Server records: one small file per server that runs on this machine, in a folder that only its user can read. A command that
// writes reads them to find out whether a server with the same configuration uses another place.
import { rmSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { hasCode } from '../../model/has-code.ts';
import type { Log } from '../../model/log.ts';
import { isRunning, startTimeOf } from './processes.ts';
import { replaceFile } from './replace-file.ts';

export type RunningServer = {
  pid: number;
  /** As `startTimeOf` gives it. */
  startedAt: string | undefined;
  /** The configuration file, absolute. */
  file: string;
  /** Undefined if the top level of the file is the configuration. */
  flavor: string | undefined;
  /** The working directory. */
  directory: string;
  /** `ConfiguredStorage.location` */
  place: string;
  /** As `usersPlaceOf` names it. */
  users: string | undefined;
  /** The origin that it listens on. */
  url: string;
};

const MAX_RECORDS = 256;
/** Four paths of 4 KiB, and the rest. */
const MAX_RECORD_BYTES = 32 * 1024;
/**
 * Half of what the specification of XDG_RUNTIME_DIR asks for; what cleans /tmp waits for days.
 * https://specifications.freedesktop.org/basedir-spec/latest/#variables
 */
const REFRESH_MS = 3 * 60 * 60 * 1000;

/**
 * Where records are kept, the preferred folder first: STOWAGE_RUNTIME_DIR alone if it is set, none if it is empty.
 * A server may lack the XDG_RUNTIME_DIR that the shell of a command has, so both places are looked at.
 */
export function runtimeFolders(env: NodeJS.ProcessEnv, uid = process.getuid?.()): string[] {
  const { STOWAGE_RUNTIME_DIR: chosen, XDG_RUNTIME_DIR: ofSession } = env;
  if (chosen !== undefined) return chosen === '' ? [] : [resolve(chosen)];
  const temporary = join(tmpdir(), uid === undefined ? 'stowage' : `stowage-${uid}`);
  return ofSession !== undefined && isAbsolute(ofSession) ? [join(ofSession, 'stowage'), temporary] : [temporary];
}

/** Keeps the server record of this process until it exits. A failure is logged at debug level and changes nothing else. */
export async function keepServerRecord(
  server: Omit<RunningServer, 'pid' | 'startedAt'>,
  { log, folders = runtimeFolders(process.env) }: { log: Log; folders?: readonly string[] },
): Promise<void> {
  if (folders.length === 0) return;
  const { pid } = process;
  const text = JSON.stringify({ pid, startedAt: await startTimeOf(pid), ...server } satisfies RunningServer);
  let written: string | undefined;
  const write = async () => {
    try {
      written = await writeServerRecord(folders, `${pid}.json`, text);
    } catch (error) {
      log.debug('commands on this machine cannot see that this server runs', { error });
    }
  };
  process.once('exit', () => {
    try {
      if (written !== undefined) rmSync(written, { force: true });
    } catch {} // A record that stays names a process that has ended, so readers ignore it.
  });
  await write();
  setInterval(write, REFRESH_MS).unref();
}

/**
 * Writes to the first folder that can be used.
 * @returns the path of the record
 * @throws Error of the last folder if none can be used
 */
export async function writeServerRecord(folders: readonly string[], name: string, text: string): Promise<string> {
  let failure: unknown;
  for (const folder of folders) {
    try {
      await makePrivateFolder(folder);
      await replaceFile(join(folder, name), text);
      return join(folder, name);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/**
 * The servers of this user that run now. What cannot be read or is no record counts as absent; records of processes that have
 * ended are removed.
 */
export async function findRunningServers(
  folders: readonly string[] = runtimeFolders(process.env),
  uid = process.getuid?.(),
): Promise<RunningServer[]> {
  const servers: RunningServer[] = [];
  for (const folder of folders) {
    for (const name of await listServerRecords(folder, uid)) {
      const server = await readServerRecord(join(folder, name)).catch(() => undefined);
      if (!server || `${server.pid}.json` !== name) continue;
      if (await isRunning(server.pid, server.startedAt)) servers.push(server);
      else await rm(join(folder, name), { force: true }).catch(() => undefined);
    }
  }
  return servers;
}

async function listServerRecords(folder: string, uid: number | undefined): Promise<string[]> {
  try {
    await checkPrivateFolder(folder, uid);
    return (await readdir(folder)).filter((name) => /^\d{1,10}\.json$/.test(name)).slice(0, MAX_RECORDS);
  } catch {
    return [];
  }
}

async function makePrivateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  await checkPrivateFolder(folder, process.getuid?.());
}

/**
 * In /tmp another user may have made the folder first.
 * @param uid undefined on Windows, where the folder for temporary files is the user's own
 * @throws Error if it is no folder, or another user may have written what is in it
 */
async function checkPrivateFolder(folder: string, uid: number | undefined): Promise<void> {
  const stats = await lstat(folder);
  const isPrivate = uid === undefined || (stats.uid === uid && (stats.mode & 0o077) === 0);
  if (!stats.isDirectory() || !isPrivate)
    throw new Error(`${folder} is not a folder that only the user ${uid} can use`);
}

async function readServerRecord(path: string): Promise<RunningServer | undefined> {
  const stats = await lstat(path);
  if (!stats.isFile() || stats.size > MAX_RECORD_BYTES) return undefined;
  return parseServerRecord(await readFile(path, 'utf8'));
}

/** Undefined for what is no server record. A text with control characters would change the terminal that it is printed on. */
export function parseServerRecord(json: string): RunningServer | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  const text = (name: string) => {
    const field = fields[name];
    return typeof field === 'string' && !/[\p{Cc}\p{Cf}]/u.test(field) ? field : undefined;
  };
  const isOptionalText = (name: string) => fields[name] === undefined || text(name) !== undefined;
  const { pid } = fields;
  const [file, directory, place, url] = [text('file'), text('directory'), text('place'), text('url')];
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (file === undefined || directory === undefined || place === undefined || url === undefined) return undefined;
  if (!['startedAt', 'flavor', 'users'].every(isOptionalText)) return undefined;
  return {
    ...{ pid, file, directory, place, url },
    ...{ startedAt: text('startedAt'), flavor: text('flavor'), users: text('users') },
  };
}
