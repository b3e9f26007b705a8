import './source-lines.ts'; // before any module that may throw
import { SecretSource } from '../lib/auth/passwords/secret-source.ts';
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
 * @throws ConfigError; Error if the secret cannot be read
 */
export async function readConfiguration(env = process.env): Promise<{ config: Config; log: Log }> {
  const secretKey = env.SECRET_KEY_ARN && (await new SecretSource(env.SECRET_KEY_ARN).read())?.text;
  const { config, warnings } = await load({ ...env, ...(secretKey && { SECRET_KEY: secretKey }) });
  const log = createLog(config.logLevel);
  for (const warning of warnings) log.warning(warning);
  return { config, log };
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
