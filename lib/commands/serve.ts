import { type Command, InvalidArgumentError } from 'commander';
import { PasswordThread } from '../auth/passwords/password-thread.ts';
import type { Config } from '../config/config.ts';
import { MAX_WORKERS } from '../config/keys.ts';
import { createLog, type Log } from '../model/log.ts';
import type { NodeServer } from '../server/node-server.ts';
import type { RenewingServer, ServeOptions as ServerOptions, TlsFiles } from '../server/serve.ts';
import { useFetchClasses } from '../server/use-fetch-classes.ts';
import { configuredStorage } from '../storage/open.ts';
import type { CoordinatorOptions } from '../workers/coordinator.ts';
import { countWorkers } from '../workers/count-workers.ts';
import { ignoreClosedOutput } from './support/closed-output.ts';
import { watchParent } from './support/parent-watch.ts';
import { usersPlaceOf } from './support/place.ts';
import { CONFIG_OPTION, type ConfigOptions, load, run } from './support/run.ts';
import { keepServerRecord } from './support/running-servers.ts';

/** Time for transfers to end after the first signal; the value of docker-registry's launcher. */
export const DEFAULT_GRACE_SECONDS = 3600;

type ServeOptions = ConfigOptions & {
  host?: string;
  port?: number;
  workers?: number | 'auto';
  grace: number;
  stopWithParent?: true;
  tlsCert?: string;
  tlsKey?: string;
};

/**
 * A terminal signals a whole process group, and npm passes its signal on, so one stop can arrive as several signals. Signals
 * within this time after the first count as the same one.
 */
const SAME_SIGNAL_MS = 1000;

/** Adds `stowage serve`. */
export function addServeCommand(program: Command, version: string): void {
  program
    .command('serve')
    .description('serve the registry until SIGTERM or SIGINT')
    .addOption(CONFIG_OPTION)
    .option('--host <address>', 'address to listen on (default: $REGISTRY_HOST, else 127.0.0.1)')
    .option(
      '-p, --port <number>',
      'port to listen on, 0 for any free port (default: $REGISTRY_PORT, else 5000)',
      parsePort,
    )
    .option(
      '-w, --workers <number>',
      'processes that serve, or auto for one for each CPU (default: $STOWAGE_WORKERS, else 1)',
      parseWorkers,
    )
    .option(
      '--tls-cert <file>',
      'certificate with its chain, in PEM; serves HTTPS, together with --tls-key; SIGHUP reads both again',
    )
    .option('--tls-key <file>', 'private key of the certificate, in PEM')
    .option('--grace <seconds>', 'how long transfers may go on after the signal', parseSeconds, DEFAULT_GRACE_SECONDS)
    .option('--stop-with-parent', 'stop when the process that started this one ends; npm start and npx do so anyway')
    .action(run((options: ServeOptions) => serveUntilStopped(options, version)));
}

async function serveUntilStopped(
  { host, port, workers, grace, tlsCert, tlsKey, stopWithParent, ...configOptions }: ServeOptions,
  version: string,
): Promise<void> {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new Error('--tls-cert and --tls-key must be given together');
  ignoreClosedOutput();
  const { config, warnings } = load(configOptions);
  const log = createLog(config.logLevel);
  for (const warning of warnings) log.warning(warning);
  let stop: () => void = () => process.exit();
  // npx runs its command in a shell too. Unlike a script of package.json, no such command is meant to outlive npx.
  if (stopWithParent || process.env.npm_command === 'exec') {
    void watchParent(() => {
      log.info('stopping: the process that started this one has ended');
      stop();
    });
  }
  const tlsFiles = tlsCert !== undefined && tlsKey !== undefined ? { cert: tlsCert, key: tlsKey } : undefined;
  let serving: RenewingServer | undefined;
  renewOnSignal(() => serving?.renewCertificate(), { log, tlsFiles });
  const passwords = new PasswordThread();
  const options = {
    log,
    version,
    ...(tlsFiles && { tlsFiles }),
    comparePassword: (password: string, hash: string) => passwords.compare(password, hash),
  };
  const onFailure = (error: Error) => {
    console.error(`stowage: ${error.message}`);
    process.exitCode = 1;
    stop();
  };
  const listening = { ...config, ...(host && { host }), port: port ?? config.port };
  const count = countWorkers(workers ?? config.workers);
  const server =
    count === 1
      ? await serveAlone(listening, options)
      : await serveByWorkers(listening, { ...options, workers: count, onFailure });
  serving = server;
  stop = stopOnSignals(server, grace);
  await keepServerRecord(
    {
      ...{ file: config.file, flavor: config.flavor, directory: process.cwd(), url: server.url.origin },
      ...{ place: configuredStorage(config.storage).location, users: usersPlaceOf(config) },
    },
    { log },
  );
  log.info('listening', { url: server.url.origin, version });
  await printGreeting(server, config, version);
}

async function serveAlone(config: Config, options: ServerOptions): Promise<RenewingServer> {
  useFetchClasses();
  const { serve } = await import('../server/serve.ts');
  const { hashByThread } = await import('../streams/hash-thread.ts');
  return await serve(config, { ...options, ...hashByThread() });
}

async function serveByWorkers(config: Config, options: CoordinatorOptions): Promise<RenewingServer> {
  const coordinator = await import('../workers/coordinator.ts');
  return await coordinator.serveByWorkers(config, options);
}

async function printGreeting({ url }: NodeServer, config: Config, version: string): Promise<void> {
  const { firstCommands } = await import('./support/greeting.ts');
  const { location } = configuredStorage(config.storage);
  const commands = firstCommands(url, config).map((command) => `  ${command}\n`);
  console.error(
    `Stowage ${version} listens on ${url.origin} and keeps everything in ${location}.\n\n${commands.join('')}`,
  );
}

/**
 * The first SIGTERM or SIGINT stops the server and lets transfers end; a later one ends the process at once.
 * @returns does the same as the first signal
 */
function stopOnSignals(server: NodeServer, graceSeconds: number): () => void {
  let stoppingSince: number | undefined;
  const stop = () => {
    if (stoppingSince !== undefined) return;
    stoppingSince = performance.now();
    setTimeout(() => server.kill(), graceSeconds * 1000).unref();
    void server.stop().then(() => process.exit()); // with `process.exitCode`
  };
  const onSignal = () => {
    if (stoppingSince === undefined) return stop();
    if (performance.now() - stoppingSince < SAME_SIGNAL_MS) return;
    server.kill();
    process.exit(1);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return stop;
}

/** SIGHUP renews the certificate, and never ends the server. */
function renewOnSignal(
  renew: () => Promise<void> | undefined,
  { log, tlsFiles }: { log: Log; tlsFiles: TlsFiles | undefined },
): void {
  process.on('SIGHUP', async () => {
    if (!tlsFiles) {
      log.info('SIGHUP is ignored: without --tls-cert there is no certificate to read again');
      return;
    }
    try {
      await renew();
      log.info('the certificate was read again', tlsFiles);
    } catch (error) {
      log.error('the certificate cannot be read again, and the one in use stays', { ...tlsFiles, error });
    }
  });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('allowed: 0 to 65535');
  return port;
}

function parseWorkers(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > MAX_WORKERS)
    throw new InvalidArgumentError(`allowed: auto, or 1 to ${MAX_WORKERS}`);
  return count;
}

function parseSeconds(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('allowed: a whole number of seconds');
  return Number(text);
}
