// What all commands share: options, errors, and how they load the configuration.
import { Option } from 'commander';
import type { Config } from '../../config/config.ts';
import { ConfigError } from '../../config/config-error.ts';
import { loadConfig } from '../../config/load.ts';
import type { LoadedConfig } from '../../config/read-parsed.ts';
import { defaultNotice, isPlaceOfServer, type Written } from './place.ts';
import { findRunningServers } from './running-servers.ts';

/** Option of every command that reads the configuration. */
export const CONFIG_OPTION = new Option(
  '-c, --config <file>',
  'configuration file (default: $DOCKER_REGISTRY_CONFIG, else config.yml); $SETTINGS_FLAVOR chooses its flavor (default: dev)',
);

export type ConfigOptions = { config?: string };

/** Option of every command that writes to storage or to the users. */
export const ANYWAY_OPTION = new Option(
  '--anyway',
  'write even if the server that runs on this machine from the same configuration file uses another place',
);

export type WritingOptions = ConfigOptions & { anyway?: true };

/** Wraps the action of a command: an error is printed in one line, without its stack, and gives exit code 1. */
export function run<A extends unknown[]>(command: (...args: A) => void | Promise<void>): (...args: A) => Promise<void> {
  return async (...args) => {
    try {
      await command(...args);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      console.error(`stowage: ${error.message}${causeText(error)}`);
      process.exitCode = 1;
    }
  };
}

/** The message of the cause, if it adds something. The cause of a `ConfigError` is left out, since it may hold a secret. */
function causeText(error: Error): string {
  const { message, cause } = error;
  const addsCause = !(error instanceof ConfigError) && cause instanceof Error && !message.includes(cause.message);
  return addsCause ? `: ${cause.message}` : '';
}

/**
 * Loads the configuration with the variables of this process.
 * @throws ConfigError
 */
export function load({ config: file }: ConfigOptions): LoadedConfig {
  return loadConfig({ env: process.env, ...(file !== undefined && { file }) });
}

/**
 * As `load`; prints the warnings to standard error, because programs read the standard output of a command.
 * @throws ConfigError
 */
export function loadAndWarn(options: ConfigOptions): Config {
  const { config, warnings } = load(options);
  for (const warning of warnings) console.error(warning);
  return config;
}

/**
 * As `loadAndWarn`, for commands that write: prints a notice if neither a variable, an option nor a running server confirms the
 * place.
 * @throws Error if a server that runs from the same file uses another place, unless `anyway` is set
 * @throws ConfigError
 */
export async function loadForWriting(options: WritingOptions, written: Written): Promise<Config> {
  const config = loadAndWarn(options);
  if (!options.anyway && (await isPlaceOfServer(config, written, await findRunningServers()))) return config;
  const notice = defaultNotice(config, { env: process.env, hasFileOption: options.config !== undefined });
  if (notice !== undefined) console.error(notice);
  return config;
}
