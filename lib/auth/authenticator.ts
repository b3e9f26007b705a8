import { RegistryError } from '../errors.ts';
import type { AccessTokens } from './access-tokens.ts';
import { parseAuthorization } from './authorization.ts';
import { ANONYMOUS, type Caller, groupsOf, OIDC_USER } from './caller.ts';
import { LoginThrottle } from './login-throttle.ts';
import type { OidcLogins } from './oidc-logins.ts';
import type { PasswordLogins } from './password-logins.ts';
import { ROBOT_USER, type Robots } from './robots.ts';
import type { V1Tokens } from './v1-tokens.ts';

const INVALID_TOKEN = 'this token is not valid, or no longer';

export type AuthenticatorOptions = {
  passwords?: PasswordLogins;
  robots: Robots;
  oidc?: OidcLogins;
  v1Tokens: V1Tokens;
  accessTokens: AccessTokens;
  /** The members of each group. */
  groups: Readonly<Record<string, readonly string[]>>;
};

/** Tells from an `Authorization` who sends a request. What they may do is asked elsewhere. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #throttle = new LoginThrottle();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /**
   * No header, or one that says nothing, is anonymous; a wrong one never is.
   * @param address of the client: who tries passwords from there is slowed down
   * @throws RegistryError UNAUTHORIZED; TOOMANYREQUESTS
   */
  async authenticate(authorization: string | undefined, address?: string): Promise<Caller> {
    const { scheme, credentials } = parseAuthorization(authorization);
    switch (scheme) {
      case '':
        return ANONYMOUS;
      case 'basic':
        return await this.#basic(credentials, address);
      case 'bearer':
        return valid(await this.#options.accessTokens.readAccess(credentials));
      case 'token':
        // Without anything it is that of a docker which has got none.
        return credentials === '' ? ANONYMOUS : valid(this.#options.v1Tokens.read(credentials));
      default:
        throw new RegistryError('UNAUTHORIZED', 'this registry takes a user name and a password (Basic)');
    }
  }

  async #basic(credentials: string, address: string | undefined): Promise<Caller> {
    const decoded = Buffer.from(credentials, 'base64').toString();
    const colon = decoded.indexOf(':');
    // Docker up to 1.5 sends a name and a password of no letters while nobody has logged in.
    if (decoded === ':') return ANONYMOUS;
    return await this.login(decoded.slice(0, Math.max(colon, 0)), decoded.slice(colon + 1), address);
  }

  /** @throws RegistryError UNAUTHORIZED; TOOMANYREQUESTS */
  async login(name: string, password: string, address?: string): Promise<Caller> {
    const { passwords, robots, oidc } = this.#options;
    // A signature, which nobody guesses, and which is checked in no time.
    if (name === OIDC_USER) return valid(await oidc?.find(password));
    const isRobot = name === ROBOT_USER;
    // Of robots nobody guesses the secret either, but each id that is made up costs a storage request.
    const guessed = isRobot ? undefined : name;
    const isKnown = isRobot ? robots.isKnown(password) : await passwords?.isRemembered(name, password);
    if (!isKnown) this.#throttle.check(guessed, address);
    const caller = isRobot ? await robots.find(password) : await this.#userBy(name, password);
    if (caller) return caller;
    this.#throttle.failed(guessed, address);
    throw new RegistryError('UNAUTHORIZED', isRobot ? INVALID_TOKEN : 'wrong user name or password');
  }

  async #userBy(name: string, password: string): Promise<Caller | undefined> {
    const isRight = name !== '' && (await this.#options.passwords?.isRight(name, password));
    return isRight ? this.#user(name) : undefined;
  }

  /** Whether who has a password is known as it is now. */
  async areUsersCurrent(): Promise<boolean> {
    return (await this.#options.passwords?.areCurrent()) ?? true;
  }

  /** What changes with the password of a user; `undefined` if there is no such user. */
  async passwordMarkOf(name: string): Promise<string | undefined> {
    return await this.#options.passwords?.markOf(name);
  }

  /** The user, if the password is still the one of this mark. */
  async userByMark(name: string, mark: string): Promise<Caller | undefined> {
    return (await this.passwordMarkOf(name)) === mark ? this.#user(name) : undefined;
  }

  #user(name: string): Caller {
    return { kind: 'user', name, groups: groupsOf(name, this.#options.groups) };
  }
}

function valid(caller: Caller | undefined): Caller {
  if (!caller) throw new RegistryError('UNAUTHORIZED', INVALID_TOKEN);
  return caller;
}
