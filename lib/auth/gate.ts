// Everything that the routes ask about who sends a request and what they may do.
import type { Context, MiddlewareHandler } from 'hono';
import { type ClientBindings, clientAddressOf } from '../http/client-address.ts';
import { STATUS } from '../http/error-response.ts';
import { networkOf } from '../http/network.ts';
import { hasBody, holdMemory, holdUploadSlot } from '../http/request.ts';
import type { BodyMemory } from '../limits/body-memory.ts';
import type { ConcurrencyLimit } from '../limits/concurrency-limit.ts';
import type { Slot } from '../limits/slot.ts';
import { sending } from '../limits/transfers.ts';
import { RegistryError } from '../model/errors.ts';
import { parseRepositoryName, type RepositoryName } from '../model/names.ts';
import { type Bytes, KiB, readAll } from '../streams/bytes.ts';
import { type Audit, type AuditEntry, aboutRoute, claimedName } from './audit.ts';
import { parseAuthorization } from './callers/authorization.ts';
import { type Action, ANONYMOUS, type Anonymous, type Caller, isAnonymous, nameOf } from './callers/caller.ts';
import type { Challenges, Scope } from './challenges.ts';
import type { Logins } from './lazy-authenticator.ts';
import { Permissions } from './rules/permissions.ts';
import type { TokenHolder } from './tokens/v1-tokens.ts';

/** What the server or gateway that hands on a request knows about its sender. A gateway's authorizer has the caller. */
export type CallerBindings = ClientBindings & { caller?: Caller };

export type GateOptions = {
  /** Both or none: without them nobody is asked who they are. */
  login?: { authenticator: Logins; challenges: Challenges };
  permissions: Permissions;
  audit?: Audit;
  /** What bounds the process; absent, there is no bound. */
  limits?: Limits;
};

export type Limits = {
  uploads: ConcurrencyLimit;
  downloads: ConcurrencyLimit;
  /** Of bodies that are held in memory. */
  bodies: BodyMemory;
};

type ParseName = (name: string) => RepositoryName;

/** Fits into the buffers of a connection. */
export const SMALL_DOWNLOAD_BYTES = 64 * KiB;

const CALLER = 'caller';

export class Gate {
  readonly permissions: Permissions;
  readonly #login: GateOptions['login'];
  readonly #audit: Audit | undefined;
  readonly #limits: Limits | undefined;

  constructor({ login, permissions, audit, limits }: GateOptions) {
    this.permissions = permissions;
    this.#limits = limits;
    this.#login = login;
    this.#audit = audit;
  }

  /** Of a registry where everybody may do everything. */
  static forOpenRegistry(options: Pick<GateOptions, 'audit' | 'limits'> = {}): Gate {
    return new Gate({ permissions: Permissions.forOpenRegistry(), ...options });
  }

  /** Whether the registry is open: every caller may do everything, without a login. */
  get isOpen(): boolean {
    return this.#login === undefined;
  }

  /** Finds out who sends a request. Who says nothing is anonymous; a wrong password ends the request. */
  readonly identify: MiddlewareHandler = async (c, next) => {
    const { caller } = (c.env ?? {}) as CallerBindings;
    if (caller) c.set(CALLER, caller);
    else if (this.#login) c.set(CALLER, await this.#authenticate(c, this.#login));
    await next();
  };

  async #authenticate(c: Context, { authenticator }: NonNullable<GateOptions['login']>): Promise<Caller> {
    const authorization = c.req.header('Authorization');
    return await this.withChallenge(c, claimedName(authorization), () =>
      authenticator.authenticate(authorization, clientAddressOf(c)),
    );
  }

  /** Runs a login: if it is refused, the client is told how to log in, and it is noted. @param name as it was claimed */
  async withChallenge<T>(c: Context, name: string | null, login: () => Promise<T>): Promise<T> {
    try {
      return await login();
    } catch (error) {
      if (!(error instanceof RegistryError) || !this.#login) throw error;
      const { code, message: reason } = error;
      if (code !== 'UNAUTHORIZED' && code !== 'TOOMANYREQUESTS') throw error;
      const who = name ?? 'unknown';
      this.#note(c, { who, action: 'login', outcome: 'refused', status: STATUS[code], reason });
      if (code === 'TOOMANYREQUESTS') throw error;
      const isBearer = parseAuthorization(c.req.header('Authorization')).scheme === 'bearer';
      throw this.#login.challenges.unauthorized(c, error.message, { isBearer });
    }
  }

  /** Lets in whoever has logged in; everybody, where nobody is asked. */
  readonly login: MiddlewareHandler = async (c, next) => {
    if (this.#login && isAnonymous(callerOf(c))) throw this.#login.challenges.unauthorized(c, 'log in first');
    await next();
  };

  /** As `login`, but for everybody where those who have not logged in get something too. */
  readonly allowTokenRequest: MiddlewareHandler = async (c, next) =>
    this.permissions.allowsAnonymous ? await next() : await this.login(c, next);

  /** Lets in whoever may do this in the repository that the route names. Writes and refusals are noted. */
  allow(action: Action, parseName: ParseName = parseRepositoryName): MiddlewareHandler {
    return async (c, next) => {
      const repository = parseName(c.req.param('name') ?? '');
      this.check(c, action, repository);
      await next();
      if (action !== 'pull') this.auditOutcome(c, action, repository);
    };
  }

  /** For v1 images, whose routes name no repository: lets in callers who may do this in some, and their handler asks further. */
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

  /** Admits callers to the search of v1, which knows no anonymous tokens: `maySee` says which repositories it shows. */
  readonly allowSearch: MiddlewareHandler = this.#allowList((caller) => this.permissions.maySomewhere(caller, 'pull'));

  /**
   * Admits callers to the catalog; `maySee` says which repositories it shows. Clients keep their login until they are
   * challenged, so a request without one is challenged wherever a login could show more: a robot's token may allow
   * anything. A client without a login then asks for an anonymous token, and gets the public part by that.
   */
  readonly allowCatalog: MiddlewareHandler = this.#allowList((caller) =>
    this.permissions.mayEverywhere(caller, 'pull'),
  );

  /** A logged-in caller gets a list, even an empty one. */
  #allowList(maySeeUnasked: (anonymous: Anonymous) => boolean): MiddlewareHandler {
    return async (c, next) => {
      const caller = callerOf(c);
      const mayList =
        caller.kind === 'token'
          ? caller.lists !== undefined || caller.isFinal === true
          : caller.kind === 'user' || maySeeUnasked(caller);
      if (!mayList) throw this.#refuse(c, 'pull', 'catalog');
      await next();
    };
  }

  may(c: Context, action: Action, repository: RepositoryName): boolean {
    return this.permissions.may(callerOf(c), action, repository);
  }

  /** Whether the caller may read a v1 image because this repository holds it. */
  mayReadV1ImagesIn(c: Context, repository: RepositoryName): boolean {
    return this.permissions.mayReadV1ImagesIn(callerOf(c), repository);
  }

  /** Whether the caller may read every v1 image. */
  mayReadEveryV1Image(c: Context): boolean {
    return this.permissions.mayReadEveryV1Image(callerOf(c));
  }

  /** The caller, as a token names for whom it is made. Only where callers are told apart. */
  async holderOf(c: Context): Promise<TokenHolder> {
    return (await this.#login?.authenticator.holderOf(callerOf(c))) ?? { subject: '' };
  }

  mayEverywhere(c: Context, action: Action): boolean {
    return this.permissions.mayEverywhere(callerOf(c), action);
  }

  maySeeIn(c: Context, namespace: string): boolean {
    return this.permissions.maySeeIn(callerOf(c), namespace);
  }

  maySee(c: Context, repository: RepositoryName): boolean {
    return this.permissions.maySee(callerOf(c), repository);
  }

  /**
   * The answer does not tell whether there is such a repository.
   * @throws RegistryError UNAUTHORIZED if another login, or another token, may help; else DENIED
   */
  check(c: Context, action: Action, repository: RepositoryName): void {
    if (!this.may(c, action, repository)) throw this.#refuse(c, action, { repository, actions: [action] });
  }

  #refuse(c: Context, action: Action, scope?: Scope): RegistryError {
    const caller = callerOf(c);
    const repository = typeof scope === 'object' ? scope.repository : undefined;
    const place = repository ?? (scope === 'catalog' ? 'the list of repositories' : 'any repository');
    const isBearer = caller.kind === 'token' && !caller.isFinal;
    const mayLogInBetter = isAnonymous(caller) || (isBearer && !wasRefused(caller, action, repository));
    const what = `${VERBS[action]} ${place}`;
    const message = isAnonymous(caller) ? `log in to ${what}` : `${nameOf(caller)} may not ${what}`;
    const error =
      mayLogInBetter && this.#login
        ? this.#login.challenges.unauthorized(c, message, {
            isBearer,
            ...(scope && { scope: scopeFor(action, scope) }),
          })
        : denied(c, message);
    this.#note(c, {
      ...aboutRoute(c, repository),
      who: nameOf(caller),
      action,
      outcome: 'refused',
      status: STATUS[error.code],
    });
    return error;
  }

  /** A request with a body waits for an upload slot, and holds it until it has been answered. */
  limitUploads(nameOf = namedCallerOf): MiddlewareHandler {
    return async (c, next) => {
      if (!this.#limits || !hasBody(c)) return await next();
      const run = async (slot: Slot) => {
        holdUploadSlot(c, slot);
        await next();
      };
      await this.#limits.uploads.run(nameOf(c) ?? addressNameOf(c), run, c.req.raw.signal);
    };
  }

  /** What a request reads into memory is counted until it has been answered. */
  readonly limitMemory: MiddlewareHandler = async (c, next) => {
    if (!this.#limits || !hasBody(c)) return await next();
    const caller = namedCallerOf(c);
    const holder = { caller: caller ?? addressNameOf(c), isUnknown: !this.isOpen && caller === undefined };
    const memory = this.#limits.bodies.open(holder, c.req.raw.signal);
    holdMemory(c, memory);
    try {
      await next();
    } finally {
      memory.release();
    }
  };

  /**
   * Opens a body to be sent. What is small is read at once, so that it holds nothing open; for the rest the request waits
   * for a download slot, which is held until the client has taken it all.
   * @throws RegistryError TOOMANYREQUESTS, UNAVAILABLE
   */
  async download(
    c: Context,
    sizeBytes: number,
    open: () => Promise<ReadableStream<Uint8Array>>,
  ): Promise<Bytes | ReadableStream<Uint8Array>> {
    if (sizeBytes <= SMALL_DOWNLOAD_BYTES) return await readAll(await open());
    if (!this.#limits) return await open();
    const clientGone = c.req.raw.signal;
    const slot = await this.#limits.downloads.acquire(namedCallerOf(c) ?? addressNameOf(c), clientGone);
    try {
      const { disconnect } = (c.env ?? {}) as ClientBindings;
      return sending(await open(), slot, { clientGone, disconnect });
    } catch (error) {
      slot.release();
      throw error;
    }
  }

  /** Notes how a write has ended, once the answer is there. */
  auditOutcome(c: Context, action: Action, repository?: RepositoryName, who = nameOf(callerOf(c))): void {
    const { status, headers } = c.res;
    const digest = headers.get('Docker-Content-Digest');
    this.#note(c, {
      ...aboutRoute(c, repository),
      ...(digest !== null && { digest }),
      who,
      action,
      outcome: status < 400 ? 'done' : status === 401 || status === 403 ? 'refused' : 'failed',
      status,
    });
  }

  #note(c: Context, entry: Omit<AuditEntry, 'method' | 'path' | 'from' | 'requestId'>): void {
    const requestId = c.get('requestId') as string | undefined;
    const from = clientAddressOf(c);
    const { method, path } = c.req;
    this.#audit?.({ ...entry, method, path, ...(from && { from }), ...(requestId && { requestId }) });
  }
}

const VERBS: Record<Action, string> = { pull: 'pull from', push: 'push to', delete: 'delete from' };

export function callerOf(c: Context): Caller {
  return (c.get(CALLER) as Caller | undefined) ?? ANONYMOUS;
}

function namedCallerOf(c: Context): string | undefined {
  const caller = callerOf(c);
  return isAnonymous(caller) ? undefined : nameOf(caller);
}

/** What stands for a caller who has not logged in. */
function addressNameOf(c: Context): string {
  return `address ${networkOf(clientAddressOf(c) ?? '')}`;
}

/**
 * Clients look with HEAD for what they are about to push, and an answer to that has no words: so it is not there, which is
 * what they are told of everything in such a repository, and the push that follows learns why it may not be.
 */
function denied(c: Context, message: string): RegistryError {
  const { digest, reference } = c.req.param() as Partial<Record<string, string>>;
  const isByDigest = digest !== undefined || reference?.includes(':') === true;
  return new RegistryError(c.req.method === 'HEAD' && isByDigest ? 'NAME_UNKNOWN' : 'DENIED', message);
}

/** A token to push is asked for together with the right to look what is there already, as all clients do. */
function scopeFor(action: Action, scope: Scope): Scope {
  if (scope === 'catalog') return scope;
  return { repository: scope.repository, actions: action === 'push' ? ['pull', 'push'] : [action] };
}

/** Whether the caller's own token shows that a new one would say no again. */
function wasRefused(caller: Caller, action: Action, repository: string | undefined): boolean {
  if (caller.kind !== 'token') return false;
  if (caller.isFinal) return true;
  return caller.refused?.some((item) => item.repository === repository && item.actions.includes(action)) ?? false;
}
