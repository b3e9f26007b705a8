// `npm run bench:cold -- REVISION`: the start and the first answers of Lambda functions, as the source is now and as it was at a
// revision, alternately.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { hashPassword } from '../../lib/auth/passwords/bcrypt.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { eventOf } from '../../test/gateway/event.ts';
import { type SecretsManager, startSecretsManager } from '../../test/gateway/secrets-manager.ts';
import { type Minio, startMinio } from '../../test/support/minio.ts';
import { startRegistry } from '../../test/support/registry-server.ts';
import { V2Client } from '../../test/v2/client.ts';
import { pushImage } from '../../test/v2/image.ts';
import { type Bundles, bundleCurrent, bundleRevision } from './bundles.ts';
import { assertClientInstalled, type Lifetime, runInstance, type Times } from './instance.ts';

const FUNCTIONS = ['request-handler', 'authorizer'] as const;
type FunctionName = (typeof FUNCTIONS)[number];

const WARM_REQUESTS = 100;
const SESSION_SECRET = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:session';
const USERS = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:users';
const BASIC = `Basic ${Buffer.from('alice:correct horse').toString('base64')}`;
const REPOSITORY = 'cold/app';

await new Command('npm run bench:cold --')
  .description('Compares the cold start of the Lambda functions with that at an earlier revision.')
  .argument('<revision>', 'as git names it, such as HEAD~5')
  .option('--samples <number>', 'instances of each bundle', Number, 15)
  .action(compare)
  .parseAsync();

async function compare(revision: string, { samples }: { samples: number }): Promise<void> {
  assertClientInstalled();
  const directory = await mkdtemp(join(tmpdir(), 'stowage-cold-'));
  const minio = await startMinio();
  const users = `alice:${await hashPassword('correct horse')}\n`;
  const secrets = await startSecretsManager({ [SESSION_SECRET]: 'a secret', [USERS]: users });
  try {
    secrets.allow(minio.credentials.accessKeyId, [SESSION_SECRET, USERS]);
    await pushSample(minio);
    const env = environmentOf(minio, secrets);
    const sources = {
      [revision]: await bundleRevision(revision, FUNCTIONS, join(directory, 'earlier')),
      now: await bundleCurrent(FUNCTIONS, join(directory, 'now')),
    };
    for (const [index, name] of FUNCTIONS.entries()) {
      const lifetimes = await sample(sources, samples, ({ directories, nodeOptions }) =>
        runInstance(directories[index] ?? '', { ...env, NODE_OPTIONS: nodeOptions }, eventsOf(name)),
      );
      report(name, lifetimes);
    }
  } finally {
    await secrets.stop();
    await minio.stop();
    await rm(directory, { recursive: true });
  }
}

async function pushSample({ driverOptions }: Minio): Promise<void> {
  const driver = new S3Driver({ ...driverOptions, keyPrefix: 'registry/' });
  const registry = await startRegistry(driver);
  await pushImage(new V2Client(registry.url), REPOSITORY, 'latest', { contents: ['x'] });
  await registry.stop();
}

/** As `template.yaml` has it, with a server other than AWS. */
function environmentOf({ endpoint, bucket, credentials }: Minio, secrets: SecretsManager): NodeJS.ProcessEnv {
  const { hostname, port } = new URL(endpoint);
  return {
    PATH: process.env.PATH,
    SETTINGS_FLAVOR: 's3',
    AWS_BUCKET: bucket,
    AWS_HOST: hostname,
    AWS_PORT: port,
    AWS_SECURE: 'false',
    AWS_CALLING_FORMAT: 'boto.s3.connection.OrdinaryCallingFormat',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.endpoint,
    SECRET_KEY_ARN: SESSION_SECRET,
    AUTH: `{htpasswd: "${USERS}"}`,
    TRUSTED_PROXIES: '1',
  };
}

/** Each source in turn, so that both meet the same conditions of the machine; one instance of each is not counted. */
async function sample(
  sources: Record<string, Bundles>,
  samples: number,
  run: (bundles: Bundles) => Promise<Lifetime>,
): Promise<Record<string, Lifetime[]>> {
  const lifetimes: Record<string, Lifetime[]> = {};
  for (let count = 0; count <= samples; count++) {
    for (const [label, bundles] of Object.entries(sources)) {
      const lifetime = await run(bundles);
      if (count > 0) lifetimes[label] = [...(lifetimes[label] ?? []), lifetime];
    }
  }
  return lifetimes;
}

function eventsOf(name: FunctionName): object[] {
  const path = `/${REPOSITORY}/manifests/latest`;
  if (name === 'authorizer') {
    const methodArn = 'arn:aws:execute-api:us-east-1:123456789012:abc/v2/GET/';
    const requestContext = { path: `/v2${path}`, identity: { sourceIp: '192.0.2.1' } };
    const event = { methodArn, requestContext, headers: { Authorization: BASIC } };
    return Array.from({ length: 1 + WARM_REQUESTS }, () => event);
  }
  const request = {
    method: 'GET',
    host: 'abc.execute-api.us-east-1.amazonaws.com',
    scheme: 'https',
    fullPath: `/v2${path}`,
    stage: 'v2',
    path,
    query: '',
    rawHeaders: ['Accept', '*/*', 'User-Agent', 'docker/29.0.0'],
    body: Buffer.alloc(0),
    clientAddress: '192.0.2.1',
  };
  const api = { stages: ['v2'], routes: new Map(), binaryMediaTypes: ['*/*'], gatewayResponses: new Map() };
  const integration = { functionId: 'RequestHandler', timeoutMs: 29_000, authorizer: undefined };
  const route = { integration, resource: '/{proxy+}', proxy: path.slice(1) };
  const caller = JSON.stringify({ kind: 'user', name: 'alice', groups: [] });
  return Array.from({ length: 1 + WARM_REQUESTS }, () => eventOf(request, route, api, { caller }));
}

function report(name: FunctionName, lifetimes: Record<string, Lifetime[]>): void {
  const rows = Object.entries(lifetimes).map(([label, all]) => {
    const cells = [
      median(all, ({ init }) => init.cpuMs),
      median(all, ({ answers: [first] }) => first?.cpuMs ?? 0),
      median(all, ({ init, answers: [first] }) => init.cpuMs + (first?.cpuMs ?? 0)),
      median(all, ({ init, answers: [first] }) => init.wallMs + (first?.wallMs ?? 0)),
      median(all, ({ answers }) => mean(answers.slice(1))),
    ];
    return `| ${name} | ${label} | ${cells.map((value) => value.toFixed(1)).join(' | ')} |`;
  });
  console.log(
    '| function | source | init, CPU ms | first answer, CPU ms | both, CPU ms | both, ms | next answers, CPU ms each |',
  );
  console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: |');
  console.log(`${rows.join('\n')}\n`);
}

function median<T>(all: readonly T[], measure: (one: T) => number): number {
  const sorted = all.map(measure).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function mean(times: readonly Times[]): number {
  return times.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / times.length;
}
