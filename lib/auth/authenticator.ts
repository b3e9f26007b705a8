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
  ROBOT_USER,
  robotOf,
  type TokenBearer,
  type User,
} from './callers/caller.ts';
import { LoginThrottle, type Throttle } from './login-throttle.ts';
import type { OidcLogins } from './oidc/logins.ts';
import type { PasswordLogins } from './passwords/password-logins.ts';
import type { AccessTokens } from './tokens/access-tokens.ts';
import type { Robots } from './tokens/robots.ts';
import type { TokenHolder, V1Tokens } from './tokens/v1-tokens.ts';

const INVALID_TOKEN = 'this token is not valid, or has expired';

export type AuthenticatorOptions = {
  passwords?: PasswordLogins;
  robots: Robots;
  oidc?: OidcLogins;
  v1Tokens: V1Tokens;
  accessTokens: AccessTokens;
  /** The members of each group. */
  groups: Readonly<Record<string, readonly string[]>>;
  /** Default: one of its own. */
  throttle?: Throttle;
};

/** Finds the caller of a request by its `Authorization`. `Permissions` decide what the caller may do. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #throttle: Throttle;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#throttle = options.throttle ?? new LoginThrottle();
  }

  /**
   * Without a header, or with an empty one, the caller is anonymous. Wrong credentials are an error, never anonymous.
   * @param address the client's IP address, by which guesses at passwords are limited
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
        // Docker sends the bare word while it has no token.
        return credentials === '' ? ANONYMOUS : valid(await this.#byV1Token(credentials));
      default:
        throw new RegistryError('UNAUTHORIZED', 'the scheme of Authorization must be Basic, Bearer or Token');
    }
  }

  /** Undefined if the holder no longer exists, or has another password. For a robot one storage request in 30 seconds. */
  async #byV1Token(credentials: string): Promise<TokenBearer | undefined> {
    const token = this.#options.v1Tokens.read(credentials);
    if (!token) return undefined;
    const { issuedTo, ...bearer } = token;
    const holder = await this.findHolder(issuedTo);
    return holder && { ...bearer, holder };
  }

  /** The holder with its present rights. The holder of a token that has grants of its own has these grants and no more. */
  async findHolder(named: TokenHolder): Promise<User | Anonymous | TokenBearer | undefined> {
    const holder = await this.#lookUp(named);
    const { subject, robot, grants } = named;
    if (!holder || !grants) return holder;
    return { kind: 'token', subject, grants, ...(robot !== undefined && { robot }) };
  }

  async #lookUp(named: TokenHolder): Promise<User | Anonymous | TokenBearer | undefined> {
    const { subject, robot, passwordMark, groups } = named;
    if (robot !== undefined) return await this.#options.robots.findById(robot);
    if (passwordMark !== undefined) return await this.userByMark(subject, passwordMark);
    if (groups !== undefined) return this.#options.oidc?.userOf(subject, groups);
    return subject === '' ? ANONYMOUS : undefined;
  }

  /** Names the caller in a token that is issued to it. */
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
    // Docker up to 1.5 sends an empty name and an empty password while it has no login.
    if (decoded === ':') return ANONYMOUS;
    return await this.login(decoded.slice(0, Math.max(colon, 0)), decoded.slice(colon + 1), address);
  }

  /** @throws RegistryError UNAUTHORIZED; TOOMANYREQUESTS */
  async login(name: string, password: string, address?: string): Promise<Caller> {
    const { passwords, robots, oidc } = this.#options;
    // No throttle: a signature cannot be guessed, and verifying it is cheap.
    if (name === OIDC_USER) return valid(await oidc?.find(password));
    const isRobot = name === ROBOT_USER;
    // A robot's secret cannot be guessed either, but each made-up id costs a storage request.
    const guessedName = isRobot ? undefined : name;
    const isKnown = isRobot ? robots.isKnown(password) : await passwords?.isRemembered(name, password);
    if (!isKnown) await this.#throttle.check(guessedName, address);
    const caller = isRobot ? await robots.find(password) : await this.#userBy(name, password);
    if (caller) return caller;
    await this.#throttle.failed(guessedName, address);
    throw new RegistryError('UNAUTHORIZED', isRobot ? INVALID_TOKEN : 'wrong user name or password');
  }

  async #userBy(name: string, password: string): Promise<Caller | undefined> {
    const isRight = name !== '' && (await this.#options.passwords?.isRight(name, password));
    return isRight ? this.#user(name) : undefined;
  }

  /** Whether the users are those that their source holds now. */
  async areUsersCurrent(): Promise<boolean> {
    return (await this.#options.passwords?.areCurrent()) ?? true;
  }

  /** What is wrong with the users; names none of them. */
  async usersProblem(): Promise<string | undefined> {
    return await this.#options.passwords?.usersProblem();
  }

  /** A value that changes with the user's password; `undefined` if there is no such user. */
  async passwordMarkOf(name: string): Promise<string | undefined> {
    return await this.#options.passwords?.markOf(name);
  }

  /** The user, if the password has not changed since `passwordMarkOf` gave this mark. */
  async userByMark(name: string, mark: string): Promise<User | undefined> {
    return (await this.passwordMarkOf(name)) === mark ? this.#user(name) : undefined;
  }

  #user(name: string): User {
    return { kind: 'user', name, groups: groupsOf(name, this.#options.groups) };
  }
}

/** An access token's own grants. A robot has none here, since its rights are looked up. */
function grantsOf(caller: Caller): Pick<TokenHolder, 'grants'> {
  return caller.kind === 'token' && !caller.isFinal ? { grants: caller.grants } : {};
}

function valid(caller: Caller | undefined): Caller {
  if (!caller) throw new RegistryError('UNAUTHORIZED', INVALID_TOKEN);
  return caller;
}
