import { ConfigError } from '../config/config-error.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { defaultNotice, isPlaceOfServer, type Written } from './place.ts';
import { findRunningServers } from './running-servers.ts';

export const CONFIG_OPTION = '-c, --config <file>';
export const CONFIG_HELP =
  'configuration file (default: $DOCKER_REGISTRY_CONFIG, else config.yml); $SETTINGS_FLAVOR chooses its flavor (default: dev)';

export const ANYWAY_OPTION = '--anyway';
export const ANYWAY_HELP =
  'write even though the server that runs here from the same configuration file uses another place';

export type WritingOptions = { config?: string; anyway?: true };

/** The action of a command: what the operator did wrong gets one line; a stack would hide it. */
export function run<A extends unknown[]>(command: (...args: A) => void | Promise<void>): (...args: A) => Promise<void> {
  return async (...args) => {
    try {
      await command(...args);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      console.error(`stowage: ${error.message}${reasonBeyond(error)}`);
      process.exitCode = 1;
    }
  };
}

/** What the cause of an error adds to its message. One of the configuration says it all, and its cause may know a secret. */
function reasonBeyond(error: Error): string {
  const { message, cause } = error;
  const isNews = !(error instanceof ConfigError) && cause instanceof Error && !message.includes(cause.message);
  return isNews ? `: ${cause.message}` : '';
}

export function load(file: string | undefined): LoadedConfig {
  return loadConfig({ env: process.env, ...(file !== undefined && { file }) });
}

/**
 * As `loadAloud`, for commands that write: says so if neither a variable, an option nor a running server confirms the place.
 * @throws Error if a server that runs from the same file uses another place, unless `anyway` is set
 */
export async function loadForWriting(
  { config: file, anyway }: WritingOptions,
  written: Written,
): Promise<LoadedConfig['config']> {
  const config = loadAloud(file);
  if (!anyway && (await isPlaceOfServer(config, written, await findRunningServers()))) return config;
  const notice = defaultNotice(config, { env: process.env, hasFileOption: file !== undefined });
  if (notice !== undefined) console.error(notice);
  return config;
}

/** As `load`, for commands whose output is for programs too: warnings go where errors go. */
export function loadAloud(file: string | undefined): LoadedConfig['config'] {
  const { config, warnings } = load(file);
  for (const warning of warnings) console.error(warning);
  return config;
}
