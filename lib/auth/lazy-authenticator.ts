import type { Authenticator } from './authenticator.ts';
import type { Caller, User } from './callers/caller.ts';
import type { TokenHolder } from './tokens/v1-tokens.ts';

/** What the rest of `auth` asks of an `Authenticator`. */
export type Logins = Pick<
  Authenticator,
  'authenticate' | 'login' | 'areUsersCurrent' | 'usersProblem' | 'passwordMarkOf' | 'userByMark' | 'holderOf'
>;

/**
 * Is opened by whoever asks first. For processes that are told who sends a request, and hardly ever have to find out: users
 * are not read before that.
 */
export class LazyAuthenticator implements Logins {
  readonly #open: () => Promise<Logins>;
  #opened: Promise<Logins> | undefined;

  constructor(open: () => Promise<Logins>) {
    this.#open = open;
  }

  async authenticate(authorization: string | undefined, address?: string): Promise<Caller> {
    return await (await this.#logins()).authenticate(authorization, address);
  }

  async login(name: string, password: string, address?: string): Promise<Caller> {
    return await (await this.#logins()).login(name, password, address);
  }

  /** Users that nobody has needed yet are not read to answer this. */
  async areUsersCurrent(): Promise<boolean> {
    const opened = await this.#opened?.catch(() => undefined);
    return (await opened?.areUsersCurrent()) ?? true;
  }

  /** As above. */
  async usersProblem(): Promise<string | undefined> {
    const opened = await this.#opened?.catch(() => undefined);
    return await opened?.usersProblem();
  }

  async passwordMarkOf(name: string): Promise<string | undefined> {
    return await (await this.#logins()).passwordMarkOf(name);
  }

  async userByMark(name: string, mark: string): Promise<User | undefined> {
    return await (await this.#logins()).userByMark(name, mark);
  }

  async holderOf(caller: Caller): Promise<TokenHolder> {
    return await (await this.#logins()).holderOf(caller);
  }

  async #logins(): Promise<Logins> {
    this.#opened ??= this.#open();
    try {
      return await this.#opened;
    } catch (error) {
      this.#opened = undefined; // the next one tries again
      throw error;
    }
  }
}
