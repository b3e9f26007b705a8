// What all pages work with.
import type { Context, MiddlewareHandler } from 'hono';
import { ACTIONS, isAnonymous, nameOf } from '../../auth/callers/caller.ts';
import type { Auth } from '../../auth/create-auth.ts';
import { accountOf, callerOf } from '../../auth/request-caller.ts';
import { CatalogCursors } from '../../http/catalog-cursor.ts';
import { ConcurrencyLimit } from '../../limits/concurrency-limit.ts';
import type { SigningKeys } from '../../model/signed-token.ts';
import type { Registry } from '../../registry/registry.ts';
import type { CatalogPage } from '../../registry/repositories/catalog.ts';
import type { AwsBucket } from '../../storage/aws-bucket.ts';
import { IndexChildren } from '../data/index-children.ts';
import { RepositoryListings } from '../data/repository-listings.ts';
import type { TrustedKey } from '../data/signatures/trusted-keys.ts';
import { ASSETS } from '../html/assets.ts';
import type { Html } from '../html/html.ts';
import { type Crumb, type Frame, page } from '../html/page.ts';
import { pageOrigin, Sessions } from '../session/sessions.ts';

export type UiOptions = {
  registry: Registry;
  auth: Auth;
  keys: SigningKeys;
  /** Origin of the registry for its clients; undefined to derive it from each request. */
  publicUrl: string | undefined;
  isReadOnly: boolean;
  /** Whether the login takes passwords over plain HTTP from other machines. */
  allowsInsecureLogin: boolean;
  /** Whether downloads are redirected to the bucket. */
  storageRedirect: boolean;
  /** The bucket of AWS that holds the objects: operators get links to its console. */
  awsBucket?: AwsBucket | undefined;
  /** What verifies signatures. */
  trustedKeys: readonly TrustedKey[];
};

/** Pages that are made at once, and how many of them for one caller: each may hold tens of MiB of manifests, or send 200 storage requests. */
export const PAGES = { what: 'pages', atOnce: 16, perCaller: 4 };
/** Each takes CPU time for up to 32 MiB of JSON. */
export const DOCUMENT_READS = { what: 'documents', atOnce: 4, perCaller: 1 };
/** Each may hold four signatures of 4 MiB and what they parse to, and be verified with each trusted key. */
export const SIGNATURE_READS = { what: 'lists of signatures', atOnce: 4, perCaller: 1 };

export class Ui {
  readonly registry: Registry;
  readonly gate: Auth['gate'];
  readonly login: Auth['login'];
  readonly isReadOnly: boolean;
  readonly allowsInsecureLogin: boolean;
  readonly storageRedirect: boolean;
  readonly #awsBucket: AwsBucket | undefined;
  readonly limits: Auth['limits'];
  readonly pages = new ConcurrencyLimit(PAGES);
  readonly signatureReads = new ConcurrencyLimit(SIGNATURE_READS);
  readonly documentReads = new ConcurrencyLimit(DOCUMENT_READS);
  readonly trustedKeys: readonly TrustedKey[];
  readonly sessions: Sessions;
  readonly listings: RepositoryListings;
  readonly indexChildren: IndexChildren;
  readonly #cursors: CatalogCursors;
  readonly #publicHost: string | undefined;

  constructor(options: UiOptions) {
    const { registry, auth, keys, publicUrl, isReadOnly, allowsInsecureLogin, storageRedirect, awsBucket } = options;
    this.#awsBucket = awsBucket;
    this.trustedKeys = options.trustedKeys;
    this.registry = registry;
    this.gate = auth.gate;
    this.login = auth.login;
    this.limits = auth.limits;
    this.storageRedirect = storageRedirect;
    this.isReadOnly = isReadOnly;
    this.allowsInsecureLogin = allowsInsecureLogin;
    this.sessions = new Sessions(keys);
    this.listings = new RepositoryListings(registry);
    this.indexChildren = new IndexChildren(registry);
    this.#cursors = new CatalogCursors(keys.accepted('catalog cursor'));
    this.#publicHost = publicUrl === undefined ? undefined : new URL(publicUrl).host;
  }

  /** Makes the page when there is room for one more of the caller. */
  readonly limitPages: MiddlewareHandler = async (c, next) => {
    await this.pages.run(accountOf(c), async () => await next(), c.req.raw.signal);
  };

  /** Host and port of the registry in the commands that pages show: those of the pages, unless the configuration names others. */
  registryHost(c: Context): string {
    return this.#publicHost ?? new URL(pageOrigin(c)).host;
  }

  /** Whether the caller sees what concerns all of the registry. */
  isOperator(c: Context): boolean {
    return ACTIONS.every((action) => this.gate.mayEverywhere(c, action));
  }

  /** The bucket of AWS, for callers who may know its name. */
  bucketFor(c: Context): AwsBucket | undefined {
    return this.isOperator(c) ? this.#awsBucket : undefined;
  }

  /**
   * A page of the repositories that the caller may list. `next` is encrypted: it may name a namespace that the caller may not
   * list. Storage requests of `Catalog.page`.
   * @param options.after `next` of the page before; any other text means the first page
   * @param options.namespace those of one namespace only
   */
  async listRepositories(
    c: Context,
    { size, after = '', namespace }: { size: number; after?: string | undefined; namespace?: string | undefined },
  ) {
    const position = this.#cursors.open(after) ?? namespace;
    const { names, next }: CatalogPage = await this.registry.catalog.page({
      size,
      ...(position !== undefined && { after: position }),
      maySeeIn: (name) => (namespace === undefined || name === namespace) && this.gate.mayListIn(c, name),
      isShown: (name) => this.gate.mayList(c, name),
    });
    return { names, ...(next !== undefined && { next: this.#cursors.seal(next) }) };
  }

  /** Answers with a page. */
  show(
    c: Context,
    content: { title: string; crumbs?: readonly Crumb[]; content: Html },
    status: 200 | 400 | 401 | 403 | 404 | 405 | 413 | 429 | 500 | 503 = 200,
  ): Response | Promise<Response> {
    return c.html(page(this.#frameOf(c), content), status);
  }

  #frameOf(c: Context): Frame {
    const caller = callerOf(c);
    const here = new URL(c.req.url);
    const to = c.req.method === 'GET' && !here.pathname.startsWith('/ui/login') ? here.pathname + here.search : '/ui/';
    return {
      user: isAnonymous(caller) ? undefined : nameOf(caller),
      isOperator: this.isOperator(c),
      query: c.req.query('q') ?? '',
      assets: { style: ASSETS.style.path, script: ASSETS.script.path },
      ...(this.login && {
        login: {
          path: `/ui/login?${new URLSearchParams({ to })}`,
          formToken: () => this.sessions.formToken(c),
        },
      }),
    };
  }
}
