import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from './config-error.ts';

export type ConfigFile = { path: string; text: string };

/** Paths beside package.json, relative to this module in the source and in `dist/`. */
const SHIPPED = ['../../config.yml', '../../../config.yml'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/**
 * Reads `file` (from `--config`), else DOCKER_REGISTRY_CONFIG, else config.yml in `directory`, else the one in the package.
 * A relative DOCKER_REGISTRY_CONFIG is also looked up in `config/`, as docker-registry did.
 * @throws ConfigError
 */
export function findFile(file: string | undefined, env: NodeJS.ProcessEnv, directory: string): ConfigFile {
  const variable = env.DOCKER_REGISTRY_CONFIG;
  if (file) return readFirst([resolve(directory, file)], '--config');
  if (variable) {
    return readFirst(
      [resolve(directory, variable), resolve(directory, 'config', variable)],
      'the variable DOCKER_REGISTRY_CONFIG',
    );
  }
  return readFirst([resolve(directory, 'config.yml'), ...SHIPPED], 'no --config or DOCKER_REGISTRY_CONFIG');
}

function readFirst(paths: readonly string[], askedBy: string): ConfigFile {
  const different = [...new Set(paths)];
  for (const path of different) {
    try {
      return { path, text: readFileSync(path, 'utf8') };
    } catch (error) {
      const reason = error instanceof Error && 'code' in error ? error.code : error;
      if (reason !== 'ENOENT' && reason !== 'ENOTDIR') {
        throw new ConfigError(`${path}: the configuration file cannot be read (${reason})`, { cause: error });
      }
    }
  }
  throw new ConfigError(`there is no configuration file ${different.join(' or ')} (${askedBy})`);
}
