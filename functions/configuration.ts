import './source-lines.ts'; // before any module that may throw
import type { AuthConfig } from '../lib/auth/create-authenticator.ts';
import { SecretSource } from '../lib/auth/passwords/secret-source.ts';
import { rulesForLogins } from '../lib/auth/rules/rule-users.ts';
import type { Config } from '../lib/config/config.ts';
import { findFile } from '../lib/config/find-file.ts';
import { readParsed } from '../lib/config/read-parsed.ts';
import { parseSimpleYaml } from '../lib/config/simple-yaml.ts';
import { createLog, type Log } from '../lib/model/log.ts';
import { rootAsBuilt } from './built-configuration.ts';

class NotSimpleError extends Error {}

/**
 * Loads the bundled config.yml with the stack's environment variables, and creates a log, to which it writes the warnings.
 * `SECRET_KEY_ARN` names the secret that holds `secret_key`: it is read once per instance.
 * @throws ConfigError; Error if the secret cannot be read, or if config.yml turns off the logins that the stack has
 */
export async function readConfiguration(env = process.env): Promise<{ config: Config; log: Log }> {
  const secretKey = env.SECRET_KEY_ARN && (await new SecretSource(env.SECRET_KEY_ARN).read())?.text;
  const { config: written, warnings } = await load({ ...env, ...(secretKey && { SECRET_KEY: secretKey }) });
  const config = { ...written, auth: authOf(written, env) };
  const log = createLog(config.logLevel);
  for (const warning of warnings) log.warning(warning);
  return { config, log };
}

/**
 * The stack says by `AUTH` that callers log in, and by `ANONYMOUS_PULL` whether some need not. The authorizer sees to both for the
 * API. The pages and the push endpoint have no authorizer, and the internet reaches them.
 */
function authOf({ auth, file }: Config, { AUTH, ANONYMOUS_PULL }: NodeJS.ProcessEnv): AuthConfig | undefined {
  if (!auth && AUTH) throw new Error(`${file} turns logins off (auth: null), which a stack cannot`);
  return auth?.rules && ANONYMOUS_PULL === 'false' ? { ...auth, rules: rulesForLogins(auth.rules) } : auth;
}

/** Without the parser of YAML, if the file is as it was when the function was built, and no variable holds more than simple YAML. */
async function load(env: NodeJS.ProcessEnv) {
  const directory = import.meta.dirname;
  try {
    const file = findFile(undefined, env, directory);
    const root = rootAsBuilt(directory, file.text);
    if (root) return readParsed(file, root, { env, parse: parseSimply });
  } catch (error) {
    if (!(error instanceof NotSimpleError)) throw error;
  }
  const { loadConfig } = await import('../lib/config/load.ts');
  return loadConfig({ env, directory });
}

/** @throws NotSimpleError */
function parseSimply(text: string) {
  const node = parseSimpleYaml(text);
  if (!node) throw new NotSimpleError();
  return node;
}
