import { createHash, createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { NO_PEERS, type Peers } from '../../concurrency/peers.ts';
import { RegistryError } from '../../model/errors.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { isPassword } from './bcrypt.ts';
import type { Users } from './users.ts';

/** How long a correct password is not compared again. A changed or removed password ends this at once. */
export const REMEMBERED_MS = 5 * 60_000;
const MAX_REMEMBERED = 1000;

/** Each comparison takes 60 ms or more, so a login behind these would wait for seconds. */
export const MAX_UNDER_WAY = 32;

/** Whether the hash was made from this password. One comparison runs at a time. */
export type ComparePassword = (password: string, hash: string) => Promise<boolean>;

/** What the workers of one server share: a password that one of them has compared is remembered by all. */
export type PasswordSharing = {
  /** The key of the HMACs, the same in all workers. */
  key: Uint8Array;
  peers: Peers;
  /** How many workers share the 32 comparisons under way. */
  workers: number;
};

/**
 * Checks passwords. Clients send theirs with each request, and several requests at once, so the correct ones are remembered,
 * and simultaneous logins share one comparison.
 */
export class PasswordLogins {
  readonly #users: Users;
  readonly #compareNow: ComparePassword;
  /** Keys of the cache are HMACs, so a dump of this process's memory holds no password that could be tried offline. */
  /** As an object, which Node need not make again for each login. */
  readonly #key: KeyObject;
  readonly #maxUnderWay: number;
  readonly #peers: Peers;
  readonly #logins = new LruCache<string, boolean>({
    max: MAX_REMEMBERED,
    ttlMs: REMEMBERED_MS,
    now: () => Date.now(), // goes on while a Lambda environment is frozen
  });
  #underWay = 0;
  #last: Promise<void> = Promise.resolve();

  /** @param compare by default in this thread, which it blocks for 60 ms */
  constructor(users: Users, compare: ComparePassword = isPassword, sharing?: PasswordSharing) {
    this.#users = users;
    this.#compareNow = compare;
    this.#key = createSecretKey(sharing?.key ?? randomBytes(32));
    this.#maxUnderWay = Math.max(1, Math.floor(MAX_UNDER_WAY / (sharing?.workers ?? 1)));
    this.#peers = sharing?.peers ?? NO_PEERS;
    this.#peers.hear('password right', ({ key }) => this.#logins.set(key, true));
  }

  /**
   * Whether this is the user's password. Takes as long if there is no such user.
   * @throws RegistryError TOOMANYREQUESTS if 32 comparisons are waiting
   */
  async isRight(name: string, password: string): Promise<boolean> {
    const hash = await this.#users.hashOf(name);
    const key = this.#keyOf(name, password, hash);
    const isKnown = this.#logins.get(key) === true;
    if (isKnown || (await this.#logins.fetch(key, () => this.#compare(password, hash)))) {
      if (!isKnown) this.#peers.tell('password right', { key });
      return true;
    }
    this.#logins.delete(key); // wrong passwords are many, and would evict the correct ones
    return false;
  }

  /** Whether the password was found correct within the last five minutes, so that checking it again costs nothing. */
  async isRemembered(name: string, password: string): Promise<boolean> {
    return this.#logins.get(this.#keyOf(name, password, await this.#users.hashOf(name))) === true;
  }

  /** Whether the users are those that their source holds now. */
  async areCurrent(): Promise<boolean> {
    return await this.#users.areCurrent();
  }

  /** What is wrong with the users; names none of them. */
  async usersProblem(): Promise<string | undefined> {
    return await this.#users.problem();
  }

  /** A value that changes with the user's password and does not reveal it; `undefined` if there is no such user. */
  async markOf(name: string): Promise<string | undefined> {
    if (!(await this.#users.has(name))) return undefined;
    return createHash('sha256')
      .update(await this.#users.hashOf(name))
      .digest('base64url');
  }

  async #compare(password: string, hash: string): Promise<boolean> {
    if (this.#underWay >= this.#maxUnderWay) {
      throw new RegistryError('TOOMANYREQUESTS', 'too many logins at once, try again', {
        headers: { 'Retry-After': '2' },
      });
    }
    this.#underWay++;
    // One at a time; in between, the event loop serves other requests.
    const result = this.#last.then(() => setImmediate()).then(() => this.#compareNow(password, hash));
    this.#last = result.then(noop, noop);
    try {
      return await result;
    } finally {
      this.#underWay--;
    }
  }

  #keyOf(name: string, password: string, hash: string): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([name, password, hash]))
      .digest('base64');
  }
}

function noop(): void {
  // the caller of #compare gets the error
}
