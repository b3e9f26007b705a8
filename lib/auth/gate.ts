// What the routes ask about a request: its caller, and what the caller may do.
import type { Context, MiddlewareHandler } from 'hono';
import { clientAddressOf } from '../http/client-address.ts';
import { STATUS } from '../http/error-response.ts';
import { RegistryError } from '../model/errors.ts';
import { parseRepositoryName, type RepositoryName } from '../model/names.ts';
import { type Audit, type AuditEntry, aboutRoute, claimedName, type Operation } from './audit.ts';
import type { Authenticator } from './authenticator.ts';
import { parseAuthorization } from './callers/authorization.ts';
import { ACTIONS, type Action, type Anonymous, type Caller, isAnonymous, nameOf } from './callers/caller.ts';
import type { Challenges, Scope } from './challenges.ts';
import { type CallerBindings, callerOf, setCaller } from './request-caller.ts';
import { Permissions } from './rules/permissions.ts';
import type { TokenHolder } from './tokens/v1-tokens.ts';

type Login = { authenticator: Authenticator; challenges: Challenges };

export type GateOptions = {
  /** Absent for an open registry, where no caller logs in. */
  login?: Login;
  permissions: Permissions;
  audit?: Audit;
};

/** What a route with a repository's name in its path gives to its handler. */
export type RepositoryEnv = { Variables: { repository: RepositoryName } };

type ParseName = (name: string) => RepositoryName;

export class Gate {
  readonly permissions: Permissions;
  readonly #login: Login | undefined;
  readonly #audit: Audit | undefined;

  constructor({ login, permissions, audit }: GateOptions) {
    this.permissions = permissions;
    this.#login = login;
    this.#audit = audit;
  }

  static forOpenRegistry(options: Pick<GateOptions, 'audit'> = {}): Gate {
    return new Gate({ permissions: Permissions.forOpenRegistry(), ...options });
  }

  /** Whether the registry is open: every caller may do everything, without a login. */
  get isOpen(): boolean {
    return this.#login === undefined;
  }

  /** Finds the caller of a request. Without an `Authorization` it is anonymous; an invalid one ends the request. */
  readonly identify: MiddlewareHandler = async (c, next) => {
    const { caller } = (c.env ?? {}) as CallerBindings;
    if (caller) setCaller(c, caller);
    else if (this.#login) setCaller(c, await this.#authenticate(c, this.#login));
    await next();
  };

  async #authenticate(c: Context, { authenticator }: Login): Promise<Caller> {
    const authorization = c.req.header('Authorization');
    return await this.withChallenge(c, claimedName(authorization), () =>
      authenticator.authenticate(authorization, clientAddressOf(c)),
    );
  }

  /**
   * Runs a login. If it is refused, the audit log gets an entry and the client a challenge.
   * @param name the name that the client claims; null if it claims none
   */
  async withChallenge<T>(c: Context, name: string | null, login: () => Promise<T>): Promise<T> {
    try {
      return await login();
    } catch (error) {
      if (!(error instanceof RegistryError) || !this.#login) throw error;
      const { code, message: reason } = error;
      if (code !== 'UNAUTHORIZED' && code !== 'TOOMANYREQUESTS') throw error;
      const status = STATUS[code];
      this.#writeAudit(c, { who: name ?? 'unknown', action: 'login', outcome: 'refused', status, reason });
      if (code === 'TOOMANYREQUESTS') throw error;
      const isBearer = parseAuthorization(c.req.header('Authorization')).scheme === 'bearer';
      throw this.#login.challenges.unauthorized(c, error.message, { isBearer });
    }
  }

  /** Admits callers that have logged in; every caller if the registry is open. */
  readonly requireLogin: MiddlewareHandler = async (c, next) => {
    if (this.#login && isAnonymous(callerOf(c))) throw this.#login.challenges.unauthorized(c, 'log in first');
    await next();
  };

  /** Admits callers to the token endpoint: anonymous ones too where a rule gives them something. */
  readonly allowTokenRequest: MiddlewareHandler = async (c, next) =>
    this.permissions.allowsAnonymous ? await next() : await this.requireLogin(c, next);

  /**
   * Admits callers that may do this in the repository of the URL, and leaves its parsed name for the handler in
   * `c.var.repository`. Writes and refusals are audited.
   * @throws RegistryError NAME_INVALID, UNAUTHORIZED, DENIED
   */
  allow(action: Action, parseName: ParseName = parseRepositoryName): MiddlewareHandler<RepositoryEnv> {
    return async (c, next) => {
      const repository = parseName(c.req.param('name') ?? '');
      this.check(c, action, repository);
      c.set('repository', repository);
      await next();
      if (action !== 'pull') this.auditOutcome(c, action, repository);
    };
  }

  /** For v1 images, whose URLs name no repository: admits callers that may do this in any; the handler checks the image. */
  allowSomewhere(action: Action): MiddlewareHandler {
    return async (c, next) => {
      const caller = callerOf(c);
      const may =
        action === 'pull' ? this.permissions.mayReadSomeV1Image(caller) : this.permissions.maySomewhere(caller, action);
      if (!may) throw this.#refuse(c, action);
      await next();
      if (action !== 'pull') this.auditOutcome(c, action);
    };
  }

  /** Admits callers to the search of v1, which has no anonymous tokens. `mayList` decides which repositories it shows. */
  readonly allowSearch: MiddlewareHandler = this.#allowList((caller) => this.permissions.maySomewhere(caller, 'pull'));

  /**
   * Admits callers to the catalog; `mayList` decides which repositories it shows. Clients keep their login until they are
   * challenged, so a request without one is challenged wherever a login could show more: a robot's token may allow
   * anything. A client without a login then asks for an anonymous token, and gets the public part by that.
   */
  readonly allowCatalog: MiddlewareHandler = this.#allowList((caller) =>
    this.permissions.mayEverywhere(caller, 'pull'),
  );

  /** A caller that has logged in gets a list, even an empty one. */
  #allowList(mayListAnonymously: (caller: Anonymous) => boolean): MiddlewareHandler {
    return async (c, next) => {
      const caller = callerOf(c);
      const isAdmitted =
        caller.kind === 'token'
          ? caller.lists !== undefined || caller.isFinal === true
          : caller.kind === 'user' || mayListAnonymously(caller);
      if (!isAdmitted) throw this.#refuse(c, 'pull', { scope: 'catalog' });
      await next();
    };
  }

  /**
   * Admits operators to what operations have found: callers that may pull, push and delete in every repository; every caller if
   * the registry is open. Refusals are audited.
   */
  readonly allowOperation: MiddlewareHandler = async (c, next) => {
    this.#checkOperator(c);
    await next();
  };

  /** Admits operators, and audits the operation by its name, whether it is done or refused. */
  allowRun(operation: Operation | ((c: Context) => Operation)): MiddlewareHandler {
    return async (c, next) => {
      const audited = typeof operation === 'function' ? operation(c) : operation;
      this.#checkOperator(c, audited);
      await next();
      this.auditOutcome(c, audited);
    };
  }

  /** @throws RegistryError UNAUTHORIZED, DENIED */
  #checkOperator(c: Context, operation?: Operation): void {
    const refused = ACTIONS.find((action) => !this.permissions.mayEverywhere(callerOf(c), action));
    if (!refused) return;
    throw this.#refuse(c, refused, { where: 'every repository', ...(operation && { audited: operation }) });
  }

  may(c: Context, action: Action, repository: RepositoryName): boolean {
    return this.permissions.may(callerOf(c), action, repository);
  }

  mayEverywhere(c: Context, action: Action): boolean {
    return this.permissions.mayEverywhere(callerOf(c), action);
  }

  /** Whether the caller may read the v1 images that this repository holds. */
  mayReadV1ImagesIn(c: Context, repository: RepositoryName): boolean {
    return this.permissions.mayReadV1ImagesIn(callerOf(c), repository);
  }

  mayReadEveryV1Image(c: Context): boolean {
    return this.permissions.mayReadEveryV1Image(callerOf(c));
  }

  mayList(c: Context, repository: RepositoryName): boolean {
    return this.permissions.mayList(callerOf(c), repository);
  }

  /** Whether the namespace may contain a repository that the caller may list. */
  mayListIn(c: Context, namespace: string): boolean {
    return this.permissions.mayListIn(callerOf(c), namespace);
  }

  /** The caller, as a v1 token names it; the anonymous holder if the registry is open. */
  async holderOf(c: Context): Promise<TokenHolder> {
    return (await this.#login?.authenticator.holderOf(callerOf(c))) ?? { subject: '' };
  }

  /**
   * The error does not reveal whether the repository exists.
   * @throws RegistryError UNAUTHORIZED if another login or another token could help; else DENIED
   */
  check(c: Context, action: Action, repository: RepositoryName): void {
    if (!this.may(c, action, repository)) throw this.#refuse(c, action, { scope: { repository, actions: [action] } });
  }

  /** Audits a refusal and makes its error. Without a scope the action is refused in every repository. */
  #refuse(
    c: Context,
    action: Action,
    {
      scope,
      where = 'any repository',
      audited = action,
    }: { scope?: Scope; where?: string; audited?: AuditEntry['action'] } = {},
  ): RegistryError {
    const caller = callerOf(c);
    const repository = typeof scope === 'object' ? scope.repository : undefined;
    const place = repository ?? (scope === 'catalog' ? 'the list of repositories' : where);
    const isBearer = caller.kind === 'token' && !caller.isFinal;
    const canLoginHelp = isAnonymous(caller) || (isBearer && !wasRefused(caller, action, repository));
    const what = `${VERBS[action]} ${place}`;
    const message = isAnonymous(caller) ? `log in to ${what}` : `${nameOf(caller)} may not ${what}`;
    const error =
      canLoginHelp && this.#login
        ? this.#login.challenges.unauthorized(c, message, {
            isBearer,
            ...(scope && { scope: scopeFor(action, scope) }),
          })
        : denied(c, message);
    this.#writeAudit(c, {
      ...aboutRoute(c, repository),
      who: nameOf(caller),
      action: audited,
      outcome: 'refused',
      status: STATUS[error.code],
    });
    return error;
  }

  /** Audits a write, once its answer is there. */
  auditOutcome(
    c: Context,
    action: Action | Operation,
    repository?: RepositoryName,
    caller = nameOf(callerOf(c)),
  ): void {
    const { status, headers } = c.res;
    const digest = headers.get('Docker-Content-Digest');
    this.#writeAudit(c, {
      ...aboutRoute(c, repository),
      ...(digest !== null && { digest }),
      who: caller,
      action,
      outcome: status < 400 ? 'done' : status === 401 || status === 403 ? 'refused' : 'failed',
      status,
    });
  }

  /** Audits that a plan of retention has deleted a tag, by a request to apply it. */
  auditDeletion(c: Context, deleted: Pick<AuditEntry, 'repository' | 'tag' | 'digest' | 'plan'>): void {
    this.#writeAudit(c, { ...deleted, who: nameOf(callerOf(c)), action: 'delete', outcome: 'done' });
  }

  #writeAudit(c: Context, entry: Omit<AuditEntry, 'method' | 'path' | 'from' | 'requestId'>): void {
    const requestId = c.get('requestId') as string | undefined;
    const from = clientAddressOf(c);
    const { method, path } = c.req;
    this.#audit?.({ ...entry, method, path, ...(from && { from }), ...(requestId && { requestId }) });
  }
}

const VERBS: Record<Action, string> = { pull: 'pull from', push: 'push to', delete: 'delete from' };

/**
 * Before a push, clients send HEAD for each blob and manifest. An answer to HEAD has no body for an error message, so these
 * requests get a 404, as for anything in a repository that the caller may not pull from; the push that follows gets the 403.
 */
function denied(c: Context, message: string): RegistryError {
  const { digest, reference } = c.req.param() as Partial<Record<string, string>>;
  const isByDigest = digest !== undefined || reference?.includes(':') === true;
  return new RegistryError(c.req.method === 'HEAD' && isByDigest ? 'NAME_UNKNOWN' : 'DENIED', message);
}

/** A token to push also needs `pull`, because clients check which blobs are there before they push. */
function scopeFor(action: Action, scope: Scope): Scope {
  if (scope === 'catalog') return scope;
  return { repository: scope.repository, actions: action === 'push' ? ['pull', 'push'] : [action] };
}

/** Whether the caller's token was issued for this action and does not allow it, so that a new one would not either. */
function wasRefused(caller: Caller, action: Action, repository: string | undefined): boolean {
  if (caller.kind !== 'token') return false;
  if (caller.isFinal) return true;
  return caller.refused?.some((item) => item.repository === repository && item.actions.includes(action)) ?? false;
}
