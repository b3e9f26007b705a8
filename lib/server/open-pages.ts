import { Hono } from 'hono';
import { requestId } from 'hono/request-id';
import { createAuth } from '../auth/create-auth.ts';
import type { Config } from '../config/config.ts';
import { disarmContent } from '../http/disarm-content.ts';
import { PathRouter, refuseLongPaths } from '../http/path-limit.ts';
import { refuseTheRest } from '../http/request.ts';
import type { Log } from '../model/log.ts';
import { SigningKeys } from '../model/signed-token.ts';
import { awsBucketOf } from '../storage/aws-bucket.ts';
import { createPages } from '../ui/app.ts';
import { openTrustedKeys } from '../ui/data/signatures/trusted-keys.ts';
import { onError } from './on-error.ts';
import type { OpenRegistry } from './open-registry.ts';

/**
 * Makes an app of the web pages alone, for a process apart from those that answer the registry's APIs.
 * @throws Error if the configuration turns the pages off, names a trusted key that is not usable, or has no `secret_key`: all
 * processes of the pages need the same
 */
export async function openPages(
  config: Config,
  { registry, storage, isReadOnly }: OpenRegistry,
  { log }: { log: Log },
): Promise<Hono> {
  const { pages, publicUrl, secretKey, isStandalone, disableTokenAuth, storageRedirect } = config;
  if (!pages) throw new Error('the configuration turns the pages off (pages: off)');
  if (!isStandalone && !disableTokenAuth) throw new Error('there are no pages where an index elsewhere decides access');
  if (!secretKey) throw new Error('secret_key is not set: sessions would be valid in one process only');
  const keys = new SigningKeys(secretKey, config.secretKeyPrevious);
  const auth = await createAuth(config, {
    driver: storage,
    keys,
    log,
    audit: (entry) => log.audit(entry),
    readsUsersLazily: true,
  });
  const { allowsInsecureLogin } = pages;
  const trustedKeys = await openTrustedKeys(pages.trustedKeys);
  const awsBucket = awsBucketOf(config.storage);
  const settings = { publicUrl, isReadOnly, allowsInsecureLogin, storageRedirect, awsBucket, trustedKeys };
  const app = new Hono({ router: new PathRouter(new Hono().router) })
    .use(requestId(), disarmContent, refuseLongPaths)
    .onError(onError(log))
    .get('/', (c) => c.redirect('/ui/'))
    .use('/ui/*', auth.limits.limitMemory)
    .route('/', createPages({ ...settings, registry, auth, keys, log }));
  return refuseTheRest(app, '');
}
