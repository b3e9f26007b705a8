import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../model/log.ts';
import type { StorageDriver } from '../storage/driver.ts';

export type CreateRegistryOptions = {
  /** The directory that holds everything; it is made if it is missing. */
  directory?: string;
  /** Storage of the caller's own, in place of a directory. */
  storage?: StorageDriver;
  /**
   * Keys of `config.yml`, as docs/configuration.md has them: `{ auth: { htpasswd: './users' } }`, or
   * `{ storage: 's3', boto_bucket: 'images' }`. Texts `_env:NAME` are read from the environment. `host`, `port` and
   * `loglevel` have no effect. A plain object: keys that it inherits would not be read. `auth: null` opens the registry.
   */
  config?: Readonly<Record<string, unknown>>;
  /** Receives the log. By default warnings and errors go to standard error, and nothing else is logged. */
  log?: Log;
};

/** A registry without a port of its own. */
export type EmbeddedRegistry = {
  /** Answers one request. The origin of its URL is the one under which the client reaches the registry. */
  fetch(request: Request): Promise<Response>;
  /** Answers a request to a server of `node:http` or `node:https`. */
  listener(request: IncomingMessage, response: ServerResponse): void;
  /**
   * Waits for what is still done after answers, then closes storage, and removes a temporary directory. To be called when
   * all requests have ended.
   */
  close(): Promise<void>;
};
