import { type Config, readConfig } from './config.ts';
import type { Variables } from './expand-env.ts';
import type { ConfigFile } from './find-file.ts';
import { selectFlavor } from './flavor.ts';
import { checkIgnoredAuth } from './ignored-auth.ts';
import { checkRootKeys } from './root-keys.ts';
import { type Setting, Settings } from './settings.ts';
import { isMap, type YamlNode } from './yaml-nodes.ts';

export type LoadedConfig = {
  config: Config;
  /** One line each, with file and key. */
  warnings: string[];
  /** Every effective value with its origin, secrets masked. */
  settings: Setting[];
  /** File, line and name of a key, as the beginning of a message. */
  where(name: string): string;
};

/**
 * The configuration of a file that has been parsed.
 * @throws ConfigError with one line for the operator
 */
export function readParsed(file: ConfigFile, root: YamlNode, variables: Variables): LoadedConfig {
  const { path } = file;
  const { name, keys, line } = selectFlavor(path, root, variables);
  const rootWarnings = name !== undefined && isMap(root) ? checkRootKeys(path, root, name) : [];
  const settings = new Settings(path, keys, variables, line);
  const config = readConfig(settings, path, name);
  settings.checkNames();
  const ignored = !config.auth && isMap(root) ? checkIgnoredAuth(file, root, name, variables) : [];
  return {
    config,
    warnings: [...rootWarnings, ...settings.warnings, ...ignored],
    settings: settings.read,
    where: (key) => settings.where(key),
  };
}
