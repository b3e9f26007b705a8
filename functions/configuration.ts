import './source-lines.ts'; // before any module that may throw
import { SecretSource } from '../lib/auth/passwords/secret-source.ts';
import type { Config } from '../lib/config/config.ts';
import { loadConfig } from '../lib/config/load.ts';
import { createLog, type Log } from '../lib/model/log.ts';

/**
 * Loads the bundled config.yml with the stack's environment variables, and creates a log, to which it writes the warnings.
 * `SECRET_KEY_ARN` names the secret that holds `secret_key`: it is read once per instance.
 * @throws ConfigError; Error if the secret cannot be read
 */
export async function readConfiguration(env = process.env): Promise<{ config: Config; log: Log }> {
  const secretKey = env.SECRET_KEY_ARN && (await new SecretSource(env.SECRET_KEY_ARN).read())?.text;
  const { config, warnings } = loadConfig({
    env: { ...env, ...(secretKey && { SECRET_KEY: secretKey }) },
    directory: import.meta.dirname,
  });
  const log = createLog(config.logLevel);
  for (const warning of warnings) log.warning(warning);
  return { config, log };
}
