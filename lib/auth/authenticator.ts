import { RegistryError } from '../errors.ts';
import { ANONYMOUS, type Caller } from './caller.ts';
import type { PasswordLogins } from './password-logins.ts';

export type AuthenticatorOptions = {
  passwords?: PasswordLogins;
  /** The members of each group. */
  groups: Readonly<Record<string, readonly string[]>>;
};

/** Tells from an `Authorization` who sends a request. What they may do is asked elsewhere. */
export class Authenticator {
  readonly #passwords: PasswordLogins | undefined;
  readonly #groups: AuthenticatorOptions['groups'];

  constructor({ passwords, groups }: AuthenticatorOptions) {
    this.#passwords = passwords;
    this.#groups = groups;
  }

  /**
   * No header, or one that says nothing, is anonymous; a wrong one never is.
   * @throws RegistryError UNAUTHORIZED; TOOMANYREQUESTS
   */
  async authenticate(authorization: string | undefined): Promise<Caller> {
    const [, scheme = '', credentials = ''] = /^\s*(\S+)\s*(.*?)\s*$/.exec(authorization ?? '') ?? [];
    switch (scheme.toLowerCase()) {
      case '':
      case 'token':
        return ANONYMOUS;
      case 'basic':
        return await this.#basic(credentials);
      default:
        throw new RegistryError('UNAUTHORIZED', 'this registry takes a user name and a password (Basic)');
    }
  }

  async #basic(credentials: string): Promise<Caller> {
    const decoded = Buffer.from(credentials, 'base64').toString();
    const colon = decoded.indexOf(':');
    // Docker up to 1.5 sends a name and a password of no letters while nobody has logged in.
    if (decoded === ':') return ANONYMOUS;
    const name = decoded.slice(0, Math.max(colon, 0));
    if (!name || !(await this.#passwords?.isRight(name, decoded.slice(colon + 1)))) {
      throw new RegistryError('UNAUTHORIZED', 'wrong user name or password');
    }
    return this.#user(name);
  }

  #user(name: string): Caller {
    const groups = Object.entries(this.#groups).flatMap(([group, members]) => (members.includes(name) ? [group] : []));
    return { kind: 'user', name, groups };
  }
}
