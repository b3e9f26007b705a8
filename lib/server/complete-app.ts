import type { Hono } from 'hono';
import type { Config } from '../config/config.ts';
import type { Registry } from '../registry/registry.ts';
import { type OpenAppOptions, openApp } from './open-app.ts';
import type { OpenReads } from './open-reads.ts';
import { completeRegistry } from './open-registry.ts';
import type { Shell } from './open-shell.ts';

export type WholeApp = { app: Hono; registry: Registry };

/** The app of all routes, where a part of it has been opened. */
export async function completeApp(
  config: Config,
  reads: OpenReads,
  shell: Shell,
  options: OpenAppOptions,
): Promise<WholeApp> {
  const opened = completeRegistry(config, reads, options.log);
  return { app: await openApp(config, opened, options, shell), registry: opened.registry };
}
