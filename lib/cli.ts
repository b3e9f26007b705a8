// The command `stowage`, which bin/stowage.js starts.
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { PasswordThread } from './auth/password-thread.ts';
import { addAccessCommands } from './commands/access.ts';
import { CONFIG_HELP, CONFIG_OPTION, load, loadAloud, run } from './commands/run.ts';
import { addTokenCommands } from './commands/token.ts';
import { addUserCommands } from './commands/user.ts';
import { describeConfig } from './config/describe.ts';
import type { LoadedConfig } from './config/load.ts';
import { createLog } from './log.ts';
import type { NodeServer } from './node-server.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** How long transfers may go on after the first signal, as docker-registry's launcher had it. */
const DEFAULT_GRACE_SECONDS = 3600;

const DEFAULT_LAYERS_AT_ONCE = 4;

type AdoptOptions = { config?: string; dryRun: boolean; layersAtOnce: number };
type ServeOptions = {
  config?: string;
  host?: string;
  port?: number;
  grace: number;
  tlsCert?: string;
  tlsKey?: string;
};

const program = new Command('stowage')
  .description('A container registry that keeps everything in one bucket.')
  .version(version)
  .showHelpAfterError('\n(--help shows all options)');

program
  .command('serve')
  .description('serve the registry until it gets SIGTERM or SIGINT')
  .option(CONFIG_OPTION, CONFIG_HELP)
  .option('--host <address>', 'address to listen on (default: $REGISTRY_HOST, else 127.0.0.1)')
  .option(
    '-p, --port <number>',
    'port to listen on, 0 for any free one (default: $REGISTRY_PORT, else 5000)',
    parsePort,
  )
  .option('--tls-cert <file>', 'certificate with its chain, in PEM; with --tls-key serves HTTPS')
  .option('--tls-key <file>', 'key of the certificate, in PEM')
  .option('--grace <seconds>', 'how long transfers may go on after the signal', parseSeconds, DEFAULT_GRACE_SECONDS)
  .action(run(serveCommand));

program
  .command('config')
  .description('print the configuration in effect, secrets masked')
  .option(CONFIG_OPTION, CONFIG_HELP)
  .action(run(configCommand));

program
  .command('adopt')
  .description('make the images of an old bucket ready for v2 clients, without changing any of its objects')
  .argument('[repository...]', 'repositories to adopt (default: all)')
  .option(CONFIG_OPTION, CONFIG_HELP)
  .option('-n, --dry-run', 'only say what there is to do', false)
  .option('--layers-at-once <number>', 'how many layers are read side by side', parseCount, DEFAULT_LAYERS_AT_ONCE)
  .addHelpText(
    'after',
    '\nMay be broken off and run again, and run beside a serving registry. Exit code 1 if something could not be adopted.',
  )
  .action((repositories: string[], options: AdoptOptions) => run(adoptCommand)({ repositories, ...options }));

addUserCommands(program);
addAccessCommands(program);
addTokenCommands(program);

await program.parseAsync();

async function serveCommand({ config: file, host, port, grace, tlsCert, tlsKey }: ServeOptions): Promise<void> {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) throw new Error('--tls-cert and --tls-key belong together');
  const { config, warnings } = load(file);
  const log = createLog(config.logLevel);
  for (const warning of warnings) log.warning(warning);
  const { serve } = await import('./serve.ts');
  const tlsFiles = tlsCert !== undefined && tlsKey !== undefined ? { cert: tlsCert, key: tlsKey } : undefined;
  const passwords = new PasswordThread();
  const options = {
    log,
    version,
    ...(tlsFiles && { tlsFiles }),
    comparePassword: (password: string, hash: string) => passwords.compare(password, hash),
  };
  const server = await serve({ ...config, ...(host && { host }), port: port ?? config.port }, options);
  log.info('listening', { url: server.url.origin, version });
  greet(server, config);
  stopOnSignals(server, grace);
}

function configCommand({ config: file }: { config?: string }): void {
  const loaded = load(file);
  for (const warning of loaded.warnings) console.error(warning);
  process.stdout.write(describeConfig(loaded));
}

async function adoptCommand({ config: file, ...options }: AdoptOptions & { repositories: string[] }): Promise<void> {
  const config = loadAloud(file);
  const { adopt } = await import('./adopt.ts');
  const failed = await adopt(config, options);
  if (failed > 0) process.exitCode = 1;
}

function greet({ url }: NodeServer, { storage }: LoadedConfig['config']): void {
  const place = storage.driver === 's3' ? `bucket ${storage.options.bucket}` : storage.path;
  // Docker speaks plain HTTP to localhost; elsewhere it wants TLS, or to be told that the registry is insecure.
  const name = ['127.0.0.1', '0.0.0.0', '[::]', '[::1]'].includes(url.hostname) ? `localhost:${url.port}` : url.host;
  console.error(`Stowage ${version} listens on ${url.origin} and keeps everything in ${place}.

  docker tag alpine ${name}/alpine
  docker push ${name}/alpine
  docker pull ${name}/alpine
`);
}

/** The first signal waits for transfers, the second does not. */
function stopOnSignals(server: NodeServer, graceSeconds: number): void {
  let isStopping = false;
  const stop = () => {
    if (isStopping) {
      server.kill();
      process.exit(1);
    }
    isStopping = true;
    setTimeout(() => server.kill(), graceSeconds * 1000).unref();
    void server.stop().then(() => process.exit());
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('allowed: 0 to 65535');
  return port;
}

function parseSeconds(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('allowed: a whole number of seconds');
  return Number(text);
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError('allowed: 1 to 999');
  return Number(text);
}
