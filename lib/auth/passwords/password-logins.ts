import { createHash, createHmac, randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { RegistryError } from '../../model/errors.ts';
import { isPassword } from './bcrypt.ts';
import type { Users } from './users.ts';

/** How long a login that was right need not be computed again. A changed or removed password counts at once. */
const REMEMBERED_MS = 5 * 60_000;
const MAX_REMEMBERED = 1000;

/** Each takes 60 ms and more: whoever comes behind these would wait for seconds. */
const MAX_UNDER_WAY = 32;

/** Whether this is the password of which the hash was made. Asked for one after the other. */
export type ComparePassword = (password: string, hash: string) => Promise<boolean>;

/** `isKnownRight` once it has been computed. */
type Login = { hash: string; isRight: Promise<boolean>; isKnownRight: boolean; until: number };

/** Checks passwords. Clients send theirs with each request, and several at once, so what was right is kept in mind. */
export class PasswordLogins {
  readonly #users: Users;
  readonly #compareNow: ComparePassword;
  /** Nobody who reads this process's memory finds passwords, or what could be tried out against a list of them. */
  readonly #key = randomBytes(32);
  readonly #remembered = new LRUCache<string, Login>({ max: MAX_REMEMBERED });
  #underWay = 0;
  #last: Promise<void> = Promise.resolve();

  /** @param compare in this thread by default, which then does nothing else for 60 ms */
  constructor(users: Users, compare: ComparePassword = isPassword) {
    this.#users = users;
    this.#compareNow = compare;
  }

  /**
   * Whether this is the user's password. Takes as long for a user that does not exist.
   * @throws RegistryError TOOMANYREQUESTS
   */
  async isRight(name: string, password: string): Promise<boolean> {
    const hash = await this.#users.hashOf(name);
    const key = this.#keyOf(name, password);
    const known = this.#remembered.get(key);
    if (known && known.hash === hash && known.until > Date.now()) return await known.isRight;
    const isRight = this.#compare(password, hash);
    const login = { hash, isRight, isKnownRight: false, until: Date.now() + REMEMBERED_MS };
    this.#remembered.set(key, login);
    try {
      if (await isRight) {
        login.isKnownRight = true;
        return true;
      }
    } catch (error) {
      this.#remembered.delete(key);
      throw error;
    }
    this.#remembered.delete(key); // wrong ones are many, and would push out the right ones
    return false;
  }

  /** Whether the password was found right lately: then it is no guess, and costs nothing. */
  async isRemembered(name: string, password: string): Promise<boolean> {
    const known = this.#remembered.get(this.#keyOf(name, password));
    return known?.isKnownRight === true && known.until > Date.now() && known.hash === (await this.#users.hashOf(name));
  }

  /** Whether users and passwords are as their source has them. */
  async areCurrent(): Promise<boolean> {
    return await this.#users.areCurrent();
  }

  /** What is wrong with the users, without a name in it. */
  async usersProblem(): Promise<string | undefined> {
    return await this.#users.problem();
  }

  /** What changes with the password of a user, and tells nothing of it; `undefined` if there is no such user. */
  async markOf(name: string): Promise<string | undefined> {
    if (!(await this.#users.has(name))) return undefined;
    return createHash('sha256')
      .update(await this.#users.hashOf(name))
      .digest('base64url');
  }

  async #compare(password: string, hash: string): Promise<boolean> {
    if (this.#underWay >= MAX_UNDER_WAY) {
      throw new RegistryError('TOOMANYREQUESTS', 'too many logins at once, try again', {
        headers: { 'Retry-After': '2' },
      });
    }
    this.#underWay++;
    // One after the other, and between two of them whatever else there is to do.
    const result = this.#last.then(() => setImmediate()).then(() => this.#compareNow(password, hash));
    this.#last = result.then(noop, noop);
    try {
      return await result;
    } finally {
      this.#underWay--;
    }
  }

  #keyOf(name: string, password: string): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([name, password]))
      .digest('base64');
  }
}

function noop(): void {
  // the outcome of a login is its caller's
}
