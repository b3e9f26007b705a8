import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '../../model/has-code.ts';
import type { Log } from '../../model/log.ts';
import { unmatchedHash } from './bcrypt.ts';
import { costOf, type Htpasswd, parseHtpasswd } from './htpasswd.ts';
import type { TextSource } from './text-source.ts';

const UNREADABLE = 'the users cannot be read again; the old ones count, also those who were removed since';
const NEVER_READ = 'the users cannot be read; no password is accepted until they can';

/** More problems than these are only counted: a file of another program may have a hundred thousand. */
const MAX_LOGGED_PROBLEMS = 20;

/** A request that fails once may succeed a moment later. */
const RETRY_MS = 200;

export type OpenUsersOptions = {
  /** False: a source that cannot be read is logged, and no password accepted meanwhile, instead of an error. Default true. */
  isRequired?: boolean;
};

/** Who has a password. What changes in the source counts within seconds: nothing is restarted. */
export class Users {
  readonly #source: TextSource;
  readonly #log: Log;
  #hashes: Htpasswd['hashes'] = new Map();
  #unmatched = unmatchedHash();
  #version: string | undefined;
  #askedAt = 0;
  #reading: Promise<void> | undefined;
  /** Attempts to read the source since it could be read last. */
  #failures = 0;
  #problems: string[] = [];
  /** So that a file that changes often does not repeat what is wrong in it. */
  #logged = new Set<string>();

  private constructor(source: TextSource, log: Log) {
    this.#source = source;
    this.#log = log;
  }

  /** @throws Error if the source cannot be read, unless it is not required */
  static async open(source: TextSource, log: Log, { isRequired = true }: OpenUsersOptions = {}): Promise<Users> {
    const users = new Users(source, log);
    if (isRequired) await users.#readFirst();
    else await users.#readFirst().catch(() => delay(RETRY_MS).then(() => users.#read()));
    return users;
  }

  /**
   * The hash of a user's password; for somebody unknown one that no password matches, so that the answer takes as long.
   */
  async hashOf(name: string): Promise<string> {
    await this.#refresh();
    return this.#hashes.get(name) ?? this.#unmatched;
  }

  async has(name: string): Promise<boolean> {
    await this.#refresh();
    return this.#hashes.has(name);
  }

  /**
   * False if the source was never read, or could not be read twice in a row: who was removed since, or has a new password,
   * is still let in as before. Asks the source, if it may be asked again.
   */
  async areCurrent(): Promise<boolean> {
    await this.#refresh();
    return this.#version !== undefined && this.#failures < 2;
  }

  /** What is wrong with the users, in a few words and without a name: unauthenticated callers may read it. */
  async problem(): Promise<string | undefined> {
    await this.#refresh();
    if (this.#hashes.size === 0) return 'no user can log in by a password';
    const { length } = this.#problems;
    return length === 0 ? undefined : `${length} ${length === 1 ? 'line' : 'lines'} of the users are not used`;
  }

  async #refresh(): Promise<void> {
    if (Date.now() - this.#askedAt < this.#source.intervalMs) return;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  /** @throws Error */
  async #readFirst(): Promise<void> {
    try {
      const { text, version } = (await this.#source.read()) ?? { text: '', version: '' };
      this.#take(text, version);
      this.#askedAt = Date.now();
    } catch (cause) {
      if (hasCode(cause, 'ENOENT')) {
        throw new Error(`auth.htpasswd ${this.#source.name} is not there: make it with \`stowage user add NAME\``);
      }
      throw new Error(`auth.htpasswd ${this.#source.name} cannot be read`, { cause });
    }
  }

  /** What cannot be read now stays as it was: a registry that forgets its users helps nobody. */
  async #read(): Promise<void> {
    try {
      const changed = await this.#source.read(this.#version);
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
    const empty = 'has no user whose password counts; type: stowage user add NAME';
    const all = [...this.#problems, ...(this.#hashes.size === 0 ? [empty] : [])];
    const shown = all.slice(0, MAX_LOGGED_PROBLEMS);
    if (all.length > shown.length) shown.push(`${all.length - shown.length} more lines are not used`);
    for (const problem of shown) {
      if (!this.#logged.has(problem)) this.#log.warning(`${this.#source.name}: ${problem}`);
    }
    this.#logged = new Set(shown);
  }
}
