import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditEntry } from '../../lib/auth/audit.ts';
import { type Auth, createAuth } from '../../lib/auth/create-auth.ts';
import type { AuthConfig } from '../../lib/auth/create-authenticator.ts';
import { hashPassword } from '../../lib/auth/passwords/bcrypt.ts';
import { createLog } from '../../lib/model/log.ts';
import { SigningKeys } from '../../lib/model/signed-token.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { FilesDriver } from '../../lib/storage/files.ts';
import { loadKeys } from '../config/load-text.ts';

export const SECRET = 'a secret of the tests';

/** The lowest cost of bcrypt, since tests log in often. */
const COST = 4;

export type TestAuth = Auth & { config: AuthConfig; audited: AuditEntry[]; logged: string[] };

/**
 * Creates `Auth` from a configuration with these rules (`access`) and keys of `auth`. The password of each user is
 * `<name>-password`.
 */
export async function openTestAuth({
  users,
  access,
  auth = {},
  publicUrl,
  secret = SECRET,
  driver,
}: {
  users: string[];
  access?: object[];
  auth?: object;
  publicUrl?: string;
  secret?: string;
  /** Where robots are kept. */
  driver?: StorageDriver;
}): Promise<TestAuth> {
  const directory = await mkdtemp(join(tmpdir(), 'stowage-auth-'));
  const htpasswd = join(directory, 'htpasswd');
  await writeFile(htpasswd, await htpasswdOf(users));
  const { config } = loadKeys({
    auth: { htpasswd, realm: 'Ours', ...auth },
    ...(publicUrl && { public_url: publicUrl }),
    ...(access && { access }),
  });
  if (!config.auth) throw new Error('there is no auth in the configuration');
  const audited: AuditEntry[] = [];
  const logged: string[] = [];
  const opened = await createAuth(config, {
    driver: driver ?? (await FilesDriver.open(join(directory, 'data'))),
    keys: new SigningKeys(secret),
    log: createLog('debug', (line) => logged.push(line) > 0),
    audit: (entry) => audited.push(entry),
  });
  return { ...opened, config: config.auth, audited, logged };
}

/** Lines with the password `<name>-password` for each. */
export async function htpasswdOf(users: readonly string[]): Promise<string> {
  const lines = users.map(async (name) => `${name}:${await hashPassword(`${name}-password`, COST)}\n`);
  return (await Promise.all(lines)).join('');
}

export function basic(name: string, password = `${name}-password`): { Authorization: string } {
  return { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` };
}
