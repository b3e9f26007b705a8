// An app for processes that live shortly, and mostly answer pulls: the rest is loaded by the first request that needs it.
import type { Config } from '../config/config.ts';
import { pullRegistryOf } from '../registry/registry-reads.ts';
import { createPulls, isPull } from '../v2/pulls.ts';
import { addProtocols, createShell } from './app-shell.ts';
import type { WholeApp } from './complete-app.ts';
import type { OpenAppOptions } from './open-app.ts';
import { type OpenReadsOptions, openReads } from './open-reads.ts';
import { openShell } from './open-shell.ts';

/** Answers requests. @param bindings what is known about the client */
export type Answer = (request: Request, bindings: object) => Promise<Response>;

/**
 * Opens storage and an app on it. What the configuration names is read now.
 * @throws Error if storage cannot be used, or a file or the users cannot be read
 */
export async function openPullApp(config: Config, options: OpenReadsOptions & OpenAppOptions): Promise<Answer> {
  const opened = await openReads(config, options);
  const shell = await openShell(config, opened, options);
  const { settings, auth } = shell;
  let loading: Promise<WholeApp> | undefined;
  const wholeApp = async (): Promise<WholeApp> => {
    loading ??= import('./complete-app.ts').then(({ completeApp }) => completeApp(config, opened, shell, options));
    return await loading;
  };
  const registry = pullRegistryOf(opened.reads, async (repository, id) => {
    const { conversions } = (await wholeApp()).registry;
    return await conversions.convert(repository, id);
  });
  const { gate, limits } = auth;
  const pulls = addProtocols(createShell(shell), shell, [createPulls({ ...settings, registry, gate, limits })]);
  return async (request, bindings) => {
    const { method, url } = request;
    const app = isPull({ method, path: new URL(url).pathname }) ? pulls : (await wholeApp()).app;
    return await app.fetch(request, bindings);
  };
}
