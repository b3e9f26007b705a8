import { type Config, readConfig } from './config.ts';
import { ConfigError } from './config-error.ts';
import { findFile } from './find-file.ts';
import { selectFlavor } from './flavor.ts';
import { type Setting, Settings } from './settings.ts';
import { parseYaml, YamlError, type YamlNode } from './yaml.ts';

export type LoadedConfig = {
  config: Config;
  /** One line each, naming file and key. */
  warnings: string[];
  /** Every value in effect and where it came from, secrets masked. */
  settings: Setting[];
};

export type LoadOptions = {
  env: NodeJS.ProcessEnv;
  /** As given with `--config`. */
  file?: string;
  /** What relative paths start from; the working directory by default. */
  directory?: string;
};

/**
 * Reads the configuration: one file, one flavor, `_env:` references to `env`.
 * @throws ConfigError with one line for the operator
 */
export function loadConfig({ env, file, directory = process.cwd() }: LoadOptions): LoadedConfig {
  const { path, text } = findFile(file, env, directory);
  const { name, keys } = selectFlavor(path, parseFile(path, text), env);
  const settings = new Settings(path, keys, env);
  const config = readConfig(settings, path, name);
  settings.checkNames();
  return { config, warnings: settings.warnings, settings: settings.read };
}

function parseFile(path: string, text: string): YamlNode {
  try {
    return parseYaml(text);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new ConfigError(`${path}: is not valid YAML: ${error.message}`, { cause: error });
  }
}
