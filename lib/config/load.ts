import { readConfig } from './config.ts';
import { ConfigError } from './config-error.ts';
import { findFile } from './find-file.ts';
import { checkIgnoredAuth } from './ignored-auth.ts';
import { type LoadedConfig, readParsed } from './read-parsed.ts';
import { Settings } from './settings.ts';
import { parseYaml } from './yaml.ts';
import { isMap, YamlError, type YamlNode } from './yaml-nodes.ts';

export type LoadOptions = {
  env: NodeJS.ProcessEnv;
  /** As given with `--config`. */
  file?: string;
  /** The base of relative paths; by default the working directory. */
  directory?: string;
};

/**
 * Reads the configuration: one file, one flavor, `_env:` references to `env`.
 * @throws ConfigError with one line for the operator
 */
export function loadConfig({ env, file, directory = process.cwd() }: LoadOptions): LoadedConfig {
  const found = findFile(file, env, directory);
  return readParsed(found, parseFile(found.path, found.text), { env, parse: parseYaml });
}

/**
 * Makes a configuration from an object instead of a file: the keys of one flavor, as JSON values.
 * @param source the name that messages have in place of the file's
 * @throws ConfigError
 */
export function readKeys(
  keys: Readonly<Record<string, unknown>>,
  { env, source }: { env: NodeJS.ProcessEnv; source: string },
): Pick<LoadedConfig, 'config' | 'warnings'> {
  const text = JSON.stringify(keys);
  const root = parseFile(source, text);
  const variables = { env, parse: parseYaml };
  const settings = new Settings(source, isMap(root) ? root : new Map(), variables);
  const config = readConfig(settings, source, undefined);
  settings.checkNames();
  const remedy = "set auth: { htpasswd: './users' } in config";
  const ignored =
    !config.auth && isMap(root) ? checkIgnoredAuth({ path: source, text, remedy }, root, undefined, variables) : [];
  return { config, warnings: [...settings.warnings, ...ignored] };
}

function parseFile(path: string, text: string): YamlNode {
  try {
    return parseYaml(text);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new ConfigError(`${path}: is not valid YAML: ${error.message}`, { cause: error });
  }
}
