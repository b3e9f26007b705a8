import type { Context, Hono } from 'hono';
import type { Auth } from '../auth/create-auth.ts';
import type { Config } from '../config/config.ts';
import type { SigningKeys } from '../model/signed-token.ts';
import type { Registry } from '../registry/registry.ts';
import type { AwsBucket } from '../storage/aws-bucket.ts';
import type { createPages } from '../ui/app.ts';
import type { TrustedKey } from '../ui/data/signatures/trusted-keys.ts';
import { accessByIndex } from '../v1/access-by-index.ts';
import { accessByRules } from '../v1/access-by-rules.ts';
import { answer } from '../v1/answers.ts';
import { createV1 } from '../v1/app.ts';
import type { V1Settings } from '../v1/options.ts';
import { createV2 } from '../v2/app.ts';
import type { Operate, StartCollection } from '../v2/stowage/options.ts';
import { addProtocols, createShell, isForAll, type ShellOptions, type ShellSettings } from './app-shell.ts';

export type AppOptions = ShellOptions & {
  registry: Registry;
  keys: SigningKeys;
  /** False while storage does not answer, and once the process shuts down: `/readyz` then answers 503. */
  isReady: () => Promise<boolean>;
  /** Why pushes fail now, for example a full storage; undefined if they do not. */
  roomProblem?: () => Promise<string | undefined>;
  settings: AppSettings;
  /** Absent where this process runs no collector. */
  startCollection?: StartCollection;
  /** Starts a collection in another process, where this one runs no collector. */
  requestCollection?: () => Promise<void>;
  /** As in `StowageOptions`. */
  operate?: Operate;
  /** Version of Stowage. */
  version: string;
  auth: Auth;
  /** Absent where the process serves no web pages. */
  createPages?: typeof createPages;
  /** What verifies signatures on the pages. */
  trustedKeys?: readonly TrustedKey[];
};

export type AppSettings = V1Settings &
  ShellSettings &
  Pick<Config, 'gc' | 'issue' | 'pages'> & {
    /** The bucket of AWS that holds the objects, if one does. */
    awsBucket?: AwsBucket | undefined;
  };

/** The app of both protocols, with `/healthz`, `/readyz` and `/` for operators. Knows neither Lambda nor Node's server. */
export function createApp(options: AppOptions): Hono {
  const { registry, keys, log, isReady, roomProblem, settings, version, auth } = options;
  const { startCollection, requestCollection, operate } = options;
  const { gate, limits, login } = auth;
  const access = settings.indexAccess ? accessByIndex(settings.indexAccess, registry) : accessByRules(gate, registry);
  const shared = { ...settings, registry, gate, limits };
  const v1Options = {
    ...shared,
    ...access,
    isReady,
    version,
    isForAll: isForAll(options),
    ...(login && { tokens: login.v1Tokens }),
  };
  const v2Options = {
    ...shared,
    keys,
    ...(startCollection && { startCollection }),
    ...(requestCollection && { requestCollection }),
    ...(operate && { operate }),
    ...(login && { tokenService: login.tokenService }),
  };
  const app = createShell(options);
  app
    .get('/', (c) => (options.createPages && asksForPage(c) ? c.redirect('/ui/') : answer(c, settings.issue)))
    .get('/healthz', (c) => c.json({ status: 'ok' }))
    .get('/readyz', async (c) => {
      if (!(await isReady())) return c.json({ status: 'not ready' }, 503);
      const noRoom = await roomProblem?.();
      if (noRoom) return c.json({ status: noRoom }, 503);
      const users = login?.authenticator;
      if (users && !(await users.areUsersCurrent())) return c.json({ status: 'the users cannot be read again' }, 503);
      // All processes read the same users, so no other one could do better; robots and anonymous pulls still work.
      const problem = await users?.usersProblem();
      return c.json({ status: 'ok', ...(problem && { problem }) });
    });
  const { createPages, trustedKeys = [] } = options;
  if (createPages) {
    const allowsInsecureLogin = settings.pages?.allowsInsecureLogin ?? false;
    const pages = createPages({ ...settings, registry, auth, keys, log, allowsInsecureLogin, trustedKeys });
    app.use('/ui/*', limits.limitMemory).route('/', pages);
  }
  return addProtocols(app, options, [createV1(v1Options), createV2(v2Options)]);
}

/** Whether this is a browser that opens a page: other clients ask for any type, or for JSON. */
function asksForPage(c: Context): boolean {
  return (c.req.header('Accept') ?? '').split(',').some((type) => type.trim().startsWith('text/html'));
}
