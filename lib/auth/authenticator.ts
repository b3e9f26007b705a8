import { RegistryError } from '../model/errors.ts';
import { parseAuthorization } from './callers/authorization.ts';
import {
  ANONYMOUS,
  type Anonymous,
  type Caller,
  groupsOf,
  isAnonymous,
  isOidcName,
  nameOf,
  OIDC_USER,
  robotOf,
  type TokenBearer,
  type User,
} from './callers/caller.ts';
import { LoginThrottle } from './login-throttle.ts';
import type { OidcLogins } from './oidc/logins.ts';
import type { PasswordLogins } from './passwords/password-logins.ts';
import type { AccessTokens } from './tokens/access-tokens.ts';
import { ROBOT_USER, type Robots } from './tokens/robots.ts';
import type { TokenHolder, V1Tokens } from './tokens/v1-tokens.ts';

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
        return credentials === '' ? ANONYMOUS : valid(await this.#byV1Token(credentials));
      default:
        throw new RegistryError('UNAUTHORIZED', 'this registry takes a user name and a password (Basic)');
    }
  }

  /** What the token allows, as long as its holder is one still. One storage request in half a minute for that of a robot. */
  async #byV1Token(credentials: string): Promise<TokenBearer | undefined> {
    const token = this.#options.v1Tokens.read(credentials);
    if (!token) return undefined;
    const { issuedTo, ...bearer } = token;
    const holder = await this.#holder(issuedTo);
    return holder && { ...bearer, holder };
  }

  /** With the rights of now; `undefined` if the user or the robot is gone, or the password has changed. */
  async #holder(named: TokenHolder): Promise<User | Anonymous | TokenBearer | undefined> {
    const { subject, robot, passwordMark, groups, grants } = named;
    const holder =
      robot !== undefined
        ? await this.#options.robots.findById(robot)
        : passwordMark !== undefined
          ? await this.userByMark(subject, passwordMark)
          : groups !== undefined
            ? this.#oidcUser(subject, groups)
            : subject === ''
              ? ANONYMOUS
              : undefined;
    if (!holder || !grants) return holder;
    return { kind: 'token', subject, grants, ...(robot !== undefined && { robot }) };
  }

  #oidcUser(name: string, groups: readonly string[]): User | undefined {
    const left = this.#options.oidc?.groupsLeft(name, groups);
    return left && { kind: 'user', name, groups: left };
  }

  /** The caller, as a token names for whom it is made. */
  async holderOf(caller: Caller): Promise<TokenHolder> {
    if (caller.kind === 'token' && caller.holder) return await this.holderOf(caller.holder);
    if (isAnonymous(caller)) return { subject: '', ...grantsOf(caller) };
    const subject = nameOf(caller);
    const { robot } = robotOf(caller);
    if (robot !== undefined) return { subject, robot, ...grantsOf(caller) };
    if (isOidcName(subject))
      return { subject, groups: caller.kind === 'user' ? caller.groups : [], ...grantsOf(caller) };
    return { subject, passwordMark: (await this.passwordMarkOf(subject)) ?? '', ...grantsOf(caller) };
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

  /** What is wrong with the users, without a name in it. */
  async usersProblem(): Promise<string | undefined> {
    return await this.#options.passwords?.usersProblem();
  }

  /** What changes with the password of a user; `undefined` if there is no such user. */
  async passwordMarkOf(name: string): Promise<string | undefined> {
    return await this.#options.passwords?.markOf(name);
  }

  /** The user, if the password is still the one of this mark. */
  async userByMark(name: string, mark: string): Promise<User | undefined> {
    return (await this.passwordMarkOf(name)) === mark ? this.#user(name) : undefined;
  }

  #user(name: string): User {
    return { kind: 'user', name, groups: groupsOf(name, this.#options.groups) };
  }
}

/** Of a token that says itself what it allows; a robot's rights are looked up. */
function grantsOf(caller: Caller): Pick<TokenHolder, 'grants'> {
  return caller.kind === 'token' && !caller.isFinal ? { grants: caller.grants } : {};
}

function valid(caller: Caller | undefined): Caller {
  if (!caller) throw new RegistryError('UNAUTHORIZED', INVALID_TOKEN);
  return caller;
}
