import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../model/log.ts';
import { unmatchedHash } from './bcrypt.ts';
import { costOf, type Htpasswd, parseHtpasswd } from './htpasswd.ts';
import { MissingTextError, type TextSource, type VersionedText } from './text-source.ts';

const UNREADABLE =
  'the users cannot be read again; those read before stay in effect, including any that were removed since';
const NEVER_READ = 'the users cannot be read; no password is accepted until they can';

/** Further problems are only counted: a file in another format may have a hundred thousand. */
const MAX_LOGGED_PROBLEMS = 20;

/** After this pause the first read is repeated once, since a failure of S3 or Secrets Manager is often short. */
const RETRY_MS = 200;

/** The users with a password. A change of their source takes effect within seconds, without a restart. */
export class Users {
  readonly #source: TextSource;
  readonly #log: Log;
  #hashes: Htpasswd['hashes'] = new Map();
  #unmatched = unmatchedHash();
  /** Undefined until the source was read. */
  #version: string | undefined;
  /** When the source was last asked; undefined if never. */
  #askedAt: number | undefined;
  #reading: Promise<void> | undefined;
  /** Failed attempts to read the source since the last success. */
  #failures = 0;
  #problems: string[] = [];
  /** The problems in the log, so that a file that changes often does not repeat them. */
  #logged = new Set<string>();

  private constructor(source: TextSource, log: Log) {
    this.#source = source;
    this.#log = log;
  }

  /** @throws Error if the source cannot be read */
  static async open(source: TextSource, log: Log): Promise<Users> {
    const users = new Users(source, log);
    await users.#readOrThrow();
    return users;
  }

  /** Reads the source when a user is first looked up. If that fails it is logged, and there are no users for now. */
  static lazy(source: TextSource, log: Log): Users {
    return new Users(source, log);
  }

  /** The hash of the user's password. For an unknown user a hash that no password matches, so that comparing takes as long. */
  async hashOf(name: string): Promise<string> {
    await this.#refresh();
    return this.#hashes.get(name) ?? this.#unmatched;
  }

  async has(name: string): Promise<boolean> {
    await this.#refresh();
    return this.#hashes.has(name);
  }

  /**
   * False if the source could not be read at all, or failed twice in a row: removed users and old passwords are then still
   * accepted. Reads the source again if it is due; true if no user was looked up yet.
   */
  async areCurrent(): Promise<boolean> {
    if (this.#askedAt === undefined) return true;
    await this.#refresh();
    return this.#version !== undefined && this.#failures < 2;
  }

  /** What is wrong with the users; names none of them, since anonymous callers may read it. */
  async problem(): Promise<string | undefined> {
    if (this.#askedAt === undefined) return undefined;
    await this.#refresh();
    if (this.#hashes.size === 0) return 'no user can log in by a password';
    const { length } = this.#problems;
    return length === 0 ? undefined : `${length} ${length === 1 ? 'line' : 'lines'} of the users are not used`;
  }

  async #refresh(): Promise<void> {
    if (this.#askedAt !== undefined && Date.now() - this.#askedAt < this.#source.intervalMs) return;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  /** @throws Error */
  async #readOrThrow(): Promise<void> {
    try {
      const { text, version } = (await this.#source.read()) ?? { text: '', version: '' };
      this.#take(text, version);
      this.#askedAt = Date.now();
    } catch (cause) {
      if (cause instanceof MissingTextError) throw new Error(`auth.htpasswd ${cause.message}`);
      throw new Error(`auth.htpasswd ${this.#source.name} cannot be read`, { cause });
    }
  }

  /** On failure the users that were read before stay in effect. */
  async #read(): Promise<void> {
    try {
      const changed = await this.#readSource();
      if (changed) this.#take(changed.text, changed.version);
      if (this.#failures > 0) this.#log.info('the users can be read again', { source: this.#source.name });
      this.#failures = 0;
    } catch (error) {
      const message = this.#version === undefined ? NEVER_READ : UNREADABLE;
      if (this.#failures === 0) this.#log.error(message, { source: this.#source.name, error });
      this.#failures++;
    }
    this.#askedAt = Date.now();
  }

  async #readSource(): Promise<VersionedText | undefined> {
    const read = () => this.#source.read(this.#version);
    return this.#version === undefined ? await read().catch(() => delay(RETRY_MS).then(read)) : await read();
  }

  #take(text: string, version: string): void {
    const { hashes, problems } = parseHtpasswd(text);
    this.#hashes = hashes;
    this.#problems = problems;
    this.#version = version;
    const costs = [...hashes.values()].map((hash) => costOf(hash) ?? 0);
    this.#unmatched = unmatchedHash(costs.length > 0 ? costs.reduce((a, b) => Math.max(a, b)) : undefined);
    this.#logProblems();
  }

  #logProblems(): void {
    const empty = 'has no user with a usable password; type: stowage user add NAME';
    const all = [...this.#problems, ...(this.#hashes.size === 0 ? [empty] : [])];
    const shown = all.slice(0, MAX_LOGGED_PROBLEMS);
    if (all.length > shown.length) shown.push(`${all.length - shown.length} more lines are not used`);
    for (const problem of shown) {
      if (!this.#logged.has(problem)) this.#log.warning(`${this.#source.name}: ${problem}`);
    }
    this.#logged = new Set(shown);
  }
}
