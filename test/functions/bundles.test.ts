// What the bundles of the functions load before their first answer, counted. A timing would depend on the machine.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import type { Metafile } from 'esbuild';
import { buildFunction } from '../../functions/build.ts';
import { hashPassword } from '../../lib/auth/passwords/bcrypt.ts';
import { MEDIA_TYPES } from '../../lib/model/manifest.ts';
import { startSecretsManager } from '../gateway/secrets-manager.ts';

const run = promisify(execFile);

/** What is loaded before the first answer to a pull, or to a login. */
const MAX_BYTES = { 'request-handler': 200_000, authorizer: 110_000, ui: 500_000 };

const SECRET_KEY = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:key';
const USERS = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:users';
const ACCESS_KEY = 'key';
const METHOD_ARN = 'arn:aws:execute-api:us-east-1:123456789012:abc/v2/GET/';

const manifest = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [] });
const digest = 'd'.repeat(64);

/** Runs a bundle in a process of its own, with some events, and tells what it has loaded and answered. */
const PROGRAM = `
const nodeModules = () => process.moduleLoadList.filter((name) => name.startsWith('NativeModule ')).map((name) => name.slice(13));
const { instantiate } = WebAssembly;
let instances = 0;
WebAssembly.instantiate = (...args) => instantiate(...args, instances++);
const { handler } = await import(process.argv[1] + '/index.js');
const answers = [];
for (const event of JSON.parse(process.argv[2])) {
  answers.push({ answer: await handler(event, {}), loaded: nodeModules(), instances });
}
console.log(JSON.stringify({ answers }));
process.exit();
`;

/** `instances` of WebAssembly: bcrypt makes one for each comparison. */
type Loaded = { answers: { answer: Record<string, unknown>; loaded: string[]; instances: number }[] };

describe('a cold Lambda function', () => {
  const requests: string[] = [];
  let directory: string;
  let s3: Server;
  let env: NodeJS.ProcessEnv;
  let secrets: Awaited<ReturnType<typeof startSecretsManager>>;
  const metafiles = new Map<string, Metafile>();

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-bundles-'));
    for (const name of Object.keys(MAX_BYTES)) metafiles.set(name, await buildFunction(name, join(directory, name)));
    s3 = createServer((request, response) => answerS3(requests, request, response));
    await new Promise<void>((resolve) => s3.listen(0, '127.0.0.1', resolve));
    const users = `alice:${await hashPassword('correct horse')}\n`;
    secrets = await startSecretsManager({ [SECRET_KEY]: 'a secret', [USERS]: users });
    secrets.allow(ACCESS_KEY, [SECRET_KEY, USERS]);
    env = {
      PATH: process.env.PATH,
      HOME: directory,
      SETTINGS_FLAVOR: 's3',
      AWS_BUCKET: 'bucket',
      AWS_HOST: '127.0.0.1',
      AWS_PORT: String((s3.address() as AddressInfo).port),
      AWS_SECURE: 'false',
      AWS_CALLING_FORMAT: 'boto.s3.connection.OrdinaryCallingFormat',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.endpoint,
      SECRET_KEY_ARN: SECRET_KEY,
      AUTH: `{htpasswd: "${USERS}"}`,
      TRUSTED_PROXIES: '1',
    };
  });
  after(async () => {
    await secrets.stop();
    s3.closeAllConnections();
    s3.close();
    await rm(directory, { recursive: true });
  });

  const start = async (name: string, events: object[], variables: NodeJS.ProcessEnv = {}): Promise<Loaded> => {
    const args = ['--input-type=module', '--eval', PROGRAM, join(directory, name), JSON.stringify(events)];
    const { stdout } = await run(process.execPath, args, { env: { ...env, ...variables } });
    return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1)) as Loaded;
  };

  const pull = {
    httpMethod: 'GET',
    path: '/cold/app/manifests/latest',
    headers: null,
    multiValueHeaders: { Host: ['abc.example'], 'X-Forwarded-Proto': ['https'] },
    queryStringParameters: null,
    multiValueQueryStringParameters: null,
    body: null,
    isBase64Encoded: false,
    requestContext: {
      path: '/v2/cold/app/manifests/latest',
      requestId: 'request',
      domainName: 'abc.example',
      identity: { sourceIp: '192.0.2.1' },
      authorizer: { caller: JSON.stringify({ kind: 'user', name: 'alice', groups: [] }) },
    },
  };

  it('answers a pull without undici, web streams or HTTP/2, by one request for its start and two for the pull', async () => {
    requests.length = 0;
    const { answers } = await start('request-handler', [pull, pull]);
    const [first, second] = answers;
    assert.equal(first?.answer.statusCode, 200);
    assert.equal(Buffer.from(String(first?.answer.body), 'base64').toString(), manifest);
    assert.deepEqual(unwanted(first?.loaded), []);
    const prefix = '/bucket/registry';
    assert.deepEqual(requests, [
      `GET ${prefix}/oci/layout.json`,
      `GET ${prefix}/repositories/cold/app/tag_latest`,
      `GET ${prefix}/oci/repositories/cold/app/manifests/sha256/${digest}`,
      `GET ${prefix}/repositories/cold/app/tag_latest`,
    ]);
    // The next answer is one request, and loads nothing.
    assert.deepEqual(second?.answer, { ...first?.answer, headers: second?.answer.headers });
    assert.deepEqual(second?.loaded, first?.loaded);
  });

  it('authenticates a user without undici, reads the users once, and compares the password once', async () => {
    const requestContext = { path: '/v2/', identity: { sourceIp: '192.0.2.1' } };
    const Authorization = `Basic ${Buffer.from('alice:correct horse').toString('base64')}`;
    const login = { methodArn: METHOD_ARN, requestContext, headers: { Authorization } };
    const { answers } = await start('authorizer', [login, login]);
    assert.deepEqual(
      answers.map(({ answer }) => answer.principalId),
      ['alice', 'alice'],
    );
    assert.deepEqual(unwanted(answers[1]?.loaded), []);
    assert.equal(secrets.reads(USERS), 1);
    assert.deepEqual(
      answers.map(({ instances }) => instances),
      [1, 1],
    );
  });

  it('shows the login of the pages without undici, by one request for its start', async () => {
    requests.length = 0;
    const readsBefore = secrets.reads(USERS);
    const page = {
      rawPath: '/ui/login',
      rawQueryString: '',
      headers: { accept: 'text/html', 'accept-encoding': 'gzip' },
      isBase64Encoded: false,
      requestContext: {
        domainName: 'abc.example',
        requestId: 'request',
        http: { method: 'GET', sourceIp: '192.0.2.1' },
      },
    };
    const { answers } = await start('ui', [page]);
    assert.equal(answers[0]?.answer.statusCode, 200);
    assert.deepEqual(
      answers[0]?.loaded.filter((name) => /undici|http2/.test(name)),
      [],
    );
    assert.deepEqual(requests, ['GET /bucket/registry/oci/layout.json']);
    assert.equal(secrets.reads(USERS), readsBefore);
  });

  it('reads variables that hold more than simple YAML', async () => {
    const AUTH = `{htpasswd: '${USERS}', groups: {team: [alice]}}`;
    const [first] = (
      await start('request-handler', [pull], {
        AUTH,
        ACCESS: '[{repositories: other/*, users: [alice], actions: [pull]}]',
      })
    ).answers;
    assert.equal(first?.answer.statusCode, 403);
    const [second] = (
      await start('request-handler', [pull], {
        AUTH,
        ACCESS: '[{users: [alice], repositories: cold/*, actions: [pull]}]',
      })
    ).answers;
    assert.equal(second?.answer.statusCode, 200);
  });

  it('reads a config.yml that was changed after the build', async () => {
    const changed = join(directory, 'changed');
    await cp(join(directory, 'request-handler'), changed, { recursive: true });
    const text = await readFile(join(changed, 'config.yml'), 'utf8');
    await writeFile(
      join(changed, 'config.yml'),
      text.replace('  access: _env:ACCESS', '  access: [{repositories: other/*, users: [alice], actions: [pull]}]'),
    );
    const [first] = (await start('changed', [pull])).answers;
    assert.equal(first?.answer.statusCode, 403);
  });

  it('answers requests that are no pulls', async () => {
    const asked = (httpMethod: string, path: string) => ({
      ...pull,
      httpMethod,
      requestContext: { ...pull.requestContext, path },
    });
    const { answers } = await start('request-handler', [
      asked('GET', '/v1/_ping'),
      asked('POST', '/v2/cold/app/blobs/uploads/'),
      asked('GET', '/v2/cold/app/manifests/'),
    ]);
    assert.deepEqual(
      answers.map(({ answer }) => answer.statusCode),
      [200, 202, 404],
    );
  });

  it('names the line of the source where it fails', async () => {
    await assert.rejects(
      start('authorizer', [], { AUTH: '' }),
      /the configuration has no auth[\s\S]*functions\/authorizer\.ts:\d+:\d+/,
    );
  });

  for (const [name, maxBytes] of Object.entries(MAX_BYTES)) {
    it(`loads at most ${maxBytes} bytes of ${name} before its first answer, and neither the AWS SDK nor js-yaml`, (t) => {
      const metafile = metafiles.get(name) ?? assert.fail();
      const files = loadedFiles(metafile, ['index', 's3-driver']);
      const sizeBytes = files.reduce((sum, file) => sum + (metafile.outputs[file]?.bytes ?? 0), 0);
      t.diagnostic(`${sizeBytes} bytes in ${files.length} files`);
      assert.ok(sizeBytes > 50_000 && sizeBytes <= maxBytes, `${sizeBytes} bytes`);
      const inputs = files.flatMap((file) => Object.keys(metafile.outputs[file]?.inputs ?? {}));
      assert.deepEqual(
        inputs.filter((input) => /@aws-sdk|@smithy|js-yaml/.test(input)),
        [],
      );
    });
  }
});

function unwanted(loaded: string[] = []): string[] {
  return loaded.filter((name) => /undici|http2|webstreams\/readablestream/.test(name));
}

/** The files that modules with these names import in any case, those of the modules included. */
function loadedFiles({ outputs }: Metafile, names: string[]): string[] {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { path, kind } of outputs[file]?.imports ?? []) {
      if (kind === 'import-statement' && path in outputs) visit(path);
    }
  };
  for (const file of Object.keys(outputs)) {
    const [, name = ''] = /\/([^/]+?)(?:-[A-Z0-9]{8})?\.js$/.exec(file) ?? [];
    if (names.includes(name)) visit(file);
  }
  return [...seen];
}

function answerS3(requests: string[], request: IncomingMessage, response: ServerResponse): void {
  requests.push(`${request.method} ${request.url}`);
  const objects: Record<string, string> = {
    'oci/layout.json': '{"layout":2,"minWriter":2}',
    'repositories/cold/app/tag_latest': digest,
    [`oci/repositories/cold/app/manifests/sha256/${digest}`]: manifest,
  };
  const key = request.url?.slice('/bucket/registry/'.length) ?? '';
  const text = request.method === 'HEAD' ? '' : objects[key];
  if (text === undefined) return void response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
  response.writeHead(200, { ETag: '"e"', 'Last-Modified': new Date(0).toUTCString() }).end(text);
}
