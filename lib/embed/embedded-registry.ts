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

export type FetchOptions = {
  /**
   * The client's IP address, by which limits on logins, uploads and memory tell clients apart, and which the audit log has: that of
   * the connection, or the one that a trusted proxy reports. A text that is no IP address counts as none.
   */
  clientAddress?: string | undefined;
};

/** A registry without a port of its own. */
export type EmbeddedRegistry = {
  /**
   * Answers one request. The origin of its URL is the one under which the client reaches the registry. A server that passes on
   * requests of several clients passes their addresses too, since all clients without one share the limits of one client:
   * thirty wrong logins slow the logins of all of them down.
   */
  fetch(request: Request, options?: FetchOptions): Promise<Response>;
  /**
   * Answers a request to a server of `node:http` or `node:https`. It finds the client's address by itself, by the connection and
   * `trusted_proxies`.
   */
  listener(request: IncomingMessage, response: ServerResponse): void;
  /**
   * Waits for what is still done after answers, then closes storage, and removes a temporary directory. To be called when
   * all requests have ended.
   */
  close(): Promise<void>;
};
