import { RegistryError } from '../errors.ts';
import { ANONYMOUS, type Caller } from './caller.ts';
import type { PasswordLogins } from './password-logins.ts';
import type { V1Tokens } from './v1-tokens.ts';

export type AuthenticatorOptions = {
  passwords?: PasswordLogins;
  v1Tokens?: V1Tokens;
  /** The members of each group. */
  groups: Readonly<Record<string, readonly string[]>>;
};

/** Tells from an `Authorization` who sends a request. What they may do is asked elsewhere. */
export class Authenticator {
  readonly #passwords: PasswordLogins | undefined;
  readonly #v1Tokens: V1Tokens | undefined;
  readonly #groups: AuthenticatorOptions['groups'];

  constructor({ passwords, v1Tokens, groups }: AuthenticatorOptions) {
    this.#passwords = passwords;
    this.#v1Tokens = v1Tokens;
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
        return ANONYMOUS;
      case 'token':
        return this.#v1Token(credentials);
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

  #v1Token(credentials: string): Caller {
    if (credentials === '') return ANONYMOUS; // of a docker that has got none
    const caller = this.#v1Tokens?.read(credentials);
    if (!caller) throw new RegistryError('UNAUTHORIZED', 'this token is not valid, or no longer');
    return caller;
  }

  #user(name: string): Caller {
    const groups = Object.entries(this.#groups).flatMap(([group, members]) => (members.includes(name) ? [group] : []));
    return { kind: 'user', name, groups };
  }
}
