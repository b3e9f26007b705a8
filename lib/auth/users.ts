import { hasCode } from '../has-code.ts';
import type { Log } from '../log.ts';
import { unmatchedHash } from './bcrypt.ts';
import { costOf, type Htpasswd, parseHtpasswd } from './htpasswd.ts';
import type { TextSource } from './text-source.ts';

const UNREADABLE = 'the users cannot be read again; the old ones count, also those who were removed since';

/** Who has a password. What changes in the source counts within seconds: nothing is restarted. */
export class Users {
  readonly #source: TextSource;
  readonly #log: Log;
  #hashes: Htpasswd['hashes'];
  #unmatched = unmatchedHash();
  #version: string;
  #askedAt = Date.now();
  #reading: Promise<void> | undefined;
  /** Attempts to read the source since it could be read last. */
  #failures = 0;

  private constructor(source: TextSource, log: Log, text: string, version: string) {
    this.#source = source;
    this.#log = log;
    this.#version = version;
    this.#hashes = this.#parse(text);
  }

  /** @throws Error if the source cannot be read */
  static async open(source: TextSource, log: Log): Promise<Users> {
    try {
      const { text, version } = (await source.read()) ?? { text: '', version: '' };
      return new Users(source, log, text, version);
    } catch (cause) {
      if (hasCode(cause, 'ENOENT')) {
        throw new Error(`auth.htpasswd ${source.name} is not there: make it with \`stowage user add NAME\``);
      }
      throw new Error(`auth.htpasswd ${source.name} cannot be read`, { cause });
    }
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
   * False once the source could not be read twice in a row: who was removed since, or has a new password, is still let in
   * as before. Asks the source, if it may be asked again.
   */
  async areCurrent(): Promise<boolean> {
    await this.#refresh();
    return this.#failures < 2;
  }

  async #refresh(): Promise<void> {
    if (Date.now() - this.#askedAt < this.#source.intervalMs) return;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  /** What cannot be read now stays as it was: a registry that forgets its users helps nobody. */
  async #read(): Promise<void> {
    try {
      const changed = await this.#source.read(this.#version);
      if (changed) {
        this.#hashes = this.#parse(changed.text);
        this.#version = changed.version;
      }
      if (this.#failures > 0) this.#log.info('the users can be read again', { source: this.#source.name });
      this.#failures = 0;
    } catch (error) {
      if (this.#failures === 0) this.#log.error(UNREADABLE, { source: this.#source.name, error });
      this.#failures++;
    }
    this.#askedAt = Date.now();
  }

  #parse(text: string): Htpasswd['hashes'] {
    const { hashes, problems } = parseHtpasswd(text);
    for (const problem of problems) this.#log.warning(`${this.#source.name}: ${problem}`);
    if (hashes.size === 0) this.#log.warning(`${this.#source.name} has no user whose password counts`);
    this.#unmatched = unmatchedHash(Math.max(...[...hashes.values()].map((hash) => costOf(hash) ?? 0)) || undefined);
    return hashes;
  }
}
