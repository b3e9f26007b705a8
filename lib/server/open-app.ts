// Makes the app of a configuration. It knows neither Node's server nor Lambda.
import type { Hono } from 'hono';
import type { Config } from '../config/config.ts';
import { awsBucketOf } from '../storage/aws-bucket.ts';
import { openTrustedKeys } from '../ui/data/signatures/trusted-keys.ts';
import type { Operate, StartCollection } from '../v2/stowage/options.ts';
import { createApp } from './app.ts';
import type { OpenRegistry } from './open-registry.ts';
import { type OpenShellOptions, openShell, type Shell } from './open-shell.ts';
import { Readiness } from './readiness.ts';

export type OpenAppOptions = OpenShellOptions & {
  version: string;
  /** True once the process shuts down: `/readyz` then answers 503. */
  isStopping?: () => boolean;
  /** Absent where this process runs no collector. */
  startCollection?: StartCollection;
  /** Starts a collection in another process, where this one runs no collector. */
  requestCollection?: () => Promise<void>;
  /** Whether the process serves the web pages, unless the configuration turns them off. */
  hasPages?: boolean;
  /** As in `StowageOptions`. */
  operate?: Operate;
};

/**
 * @param shell what surrounds the routes, if it is there already
 * @throws Error if a file or the users that the configuration names cannot be read
 */
export async function openApp(
  config: Config,
  opened: OpenRegistry,
  options: OpenAppOptions,
  shell?: Shell,
): Promise<Hono> {
  const { version, isStopping = () => false, hasPages = false } = options;
  const around = shell ?? (await openShell(config, opened, options));
  const { indexAccess } = around.settings;
  // An index elsewhere decides who may read what, and knows no sessions of browsers. A process without pages loads none of them.
  const createPages = hasPages && config.pages && !indexAccess ? (await import('../ui/app.ts')).createPages : undefined;
  const trustedKeys = await openTrustedKeys((createPages && config.pages?.trustedKeys) ?? []);
  const readiness = new Readiness(opened.storage);
  return createApp({
    ...around,
    settings: { ...around.settings, awsBucket: awsBucketOf(config.storage) },
    registry: opened.registry,
    ...(createPages && { createPages, trustedKeys }),
    ...(options.startCollection && { startCollection: options.startCollection }),
    ...(options.requestCollection && { requestCollection: options.requestCollection }),
    ...(options.operate && { operate: options.operate }),
    isReady: async () => !isStopping() && (await readiness.answers()),
    roomProblem: () => readiness.roomProblem(),
    version,
  });
}
