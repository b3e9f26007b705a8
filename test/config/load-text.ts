import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../../lib/config/config-error.ts';
import { loadConfig } from '../../lib/config/load.ts';
import type { LoadedConfig } from '../../lib/config/read-parsed.ts';

export type Env = Record<string, string>;

const fixtures = fileURLToPath(new URL('fixtures', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'stowage-config-'));

/** A file with this text, alone in no particular directory. */
export const textFile = join(directory, 'config.yml');

/** Loads a configuration written in the test. */
export function loadText(text: string, env: Env = {}): LoadedConfig {
  writeFileSync(textFile, text);
  return loadConfig({ env, file: textFile });
}

/** The keys of flavor `dev`, with local storage unless they say otherwise. */
export function loadKeys(keys: Record<string, unknown>, env: Env = {}): LoadedConfig {
  const lines = Object.entries({ storage: 'local', storage_path: './data', ...keys }).map(
    ([key, value]) => `  ${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}\n`,
  );
  return loadText(`dev:\n${lines.join('')}`, env);
}

export function loadFixture(name: string, env: Env = {}): LoadedConfig {
  return loadConfig({ env, file: join(fixtures, name) });
}

/** A message without its file and line, with which it has to begin. */
export function withoutPosition(message: string, file = textFile): string {
  const [position] = /^:[1-9]\d*: /.exec(message.slice(file.length)) ?? [];
  if (!message.startsWith(file) || !position) throw new Error(`does not begin with file and line: ${message}`);
  return message.slice(file.length + position.length);
}

/** What the operator reads when loading fails. */
export function messageOf(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('the configuration was accepted');
}
