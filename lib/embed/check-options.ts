// Refuses options of which the registry would read less than the caller wrote, since a registry without `auth` is open.
import { GUARDS } from '../config/guards.ts';
import type { CreateRegistryOptions } from './embedded-registry.ts';

const NAMES: Readonly<Record<keyof CreateRegistryOptions, true>> = {
  directory: true,
  storage: true,
  config: true,
  log: true,
};

/**
 * For callers that no compiler checks.
 * @throws TypeError for an unknown option; for options or a `config` that are no plain object; for a key that closes a registry and
 * has a value that JSON does not have, such as `undefined`
 */
export function checkOptions(options: CreateRegistryOptions): void {
  if (!isPlainObject(options)) throw new TypeError('the options of createRegistry must be a plain object');
  const unknown = Reflect.ownKeys(options).find((name) => !Object.hasOwn(NAMES, name));
  if (unknown !== undefined) {
    const known = Object.keys(NAMES).join(', ');
    throw new TypeError(
      `createRegistry has no option ${String(unknown)}; it has ${known}; keys of config.yml go into config`,
    );
  }
  if (!Object.hasOwn(options, 'config')) return;
  const { config } = options;
  if (!isPlainObject(config)) throw new TypeError('config must be a plain object with keys of config.yml');
  const read = JSON.parse(JSON.stringify(config)) as Record<string, unknown>;
  const lost = GUARDS.find((name) => name in config && config[name] !== null && (read[name] ?? null) === null);
  if (lost !== undefined) {
    throw new TypeError(
      `config.${lost} is undefined or no value of JSON; give it a value, set it to null, or remove it`,
    );
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
