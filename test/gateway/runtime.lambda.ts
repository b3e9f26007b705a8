// The bundles under Lambda's own runtime, with what a cold start takes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { APIGatewayProxyResult, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { KiB } from '../../lib/streams/bytes.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { BASIC, type Deployment, deploy } from './deployment.ts';
import { eventOf } from './event.ts';
import { httpEventOf } from './http-event.ts';
import { readRestApi } from './rest-api.ts';
import { findRoute } from './routes.ts';
import { type Runtime, startRuntime } from './runtime.ts';

/** So that an instance is ready soon. */
const MAX_PULL_BYTES = 200_000;

describe('bundles under the runtime of Lambda', () => {
  let deployment: Deployment;
  let digest: string;
  before(async () => {
    deployment = await deploy({ parameters: { PushEndpoint: 'none' } });
    const client = new V2Client(deployment.gateway.url, { Authorization: `Basic ${BASIC}` });
    ({ digest } = await pushImage(client, 'cold/app', 'latest', { contents: ['x'] }));
  });
  after(() => deployment?.stop());

  const starting = async (id: string, use: (runtime: Runtime) => Promise<void>) => {
    const found = deployment.functions.get(id) ?? assert.fail(`no function ${id}`);
    const runtime = await startRuntime(found.directory, found.env);
    try {
      await use(runtime);
    } finally {
      await runtime.stop();
    }
  };

  test('the API starts and answers a pull', async (t) => {
    const api = readRestApi(deployment.stack);
    const path = '/cold/app/manifests/latest';
    const route = findRoute(api, 'GET', path) ?? assert.fail('no route');
    const caller = JSON.stringify({ kind: 'user', name: 'alice', groups: [] });
    const { host } = deployment.gateway;
    const target = { method: 'GET', host, scheme: 'https', fullPath: `/v2${path}`, stage: 'v2', path, query: '' };
    const sent = { rawHeaders: ['Accept', '*/*'], body: Buffer.alloc(0), clientAddress: '192.0.2.1' };
    const event = eventOf({ ...target, ...sent }, route, api, { caller });
    await starting('RequestHandler', async (runtime) => {
      const first = await runtime.invoke(event);
      const result = JSON.parse(first.text) as APIGatewayProxyResult;
      assert.equal(result.statusCode, 200, runtime.log());
      assert.equal(result.headers?.['docker-content-digest'], digest);
      const next = await runtime.invoke(event);
      const initMs = deployment.functions.get('RequestHandler')?.initMs ?? 0;
      t.diagnostic(
        `init ${round(initMs)} ms; first answer ${round(first.milliseconds)} ms, init included, next ${round(next.milliseconds)} ms`,
      );
    });
  });

  test('the authorizer starts and accepts a user with the right password', async (t) => {
    const methodArn = 'arn:aws:execute-api:eu-west-1:123456789012:abc/v2/GET/';
    const requestContext = { path: '/v2/', identity: { sourceIp: '127.0.0.1' } };
    await starting('Authorizer', async (runtime) => {
      const allowed = await runtime.invoke({ methodArn, requestContext, headers: { Authorization: `Basic ${BASIC}` } });
      assert.match(allowed.text, /"Effect":"Allow"/, runtime.log());
      const refused = await runtime.invoke({ methodArn, requestContext, headers: { Authorization: 'Basic eDp5' } });
      assert.equal(JSON.parse(refused.text).errorMessage, 'Unauthorized');
      t.diagnostic(`first answer ${round(allowed.milliseconds)} ms, next ${round(refused.milliseconds)} ms`);
    });
  });

  test('the function of the pages starts, and shows a login with a cookie', async (t) => {
    const sent = { method: 'GET', url: '/ui/login', host: 'abc.execute-api.eu-west-1.amazonaws.com' };
    const event = httpEventOf({ ...sent, rawHeaders: [], body: Buffer.alloc(0), clientAddress: '192.0.2.1' });
    await starting('Ui', async (runtime) => {
      const first = await runtime.invoke(event);
      const { statusCode, cookies } = JSON.parse(first.text) as APIGatewayProxyStructuredResultV2;
      assert.equal(statusCode, 200, runtime.log());
      assert.match(cookies?.[0] ?? '', /^__Host-stowage=/);
      const next = await runtime.invoke(event);
      t.diagnostic(`first answer ${round(first.milliseconds)} ms, next ${round(next.milliseconds)} ms`);
    });
  });

  test('the projection worker starts and takes an event', async (t) => {
    await starting('ProjectionWorker', async (runtime) => {
      const key = 'registry/repositories/cold/app/tag_latest';
      const { text, milliseconds } = await runtime.invoke({
        Records: [{ eventName: 'ObjectCreated:Put', s3: { object: { key } } }],
      });
      assert.equal(text, 'null', runtime.log());
      t.diagnostic(`first answer ${round(milliseconds)} ms`);
    });
  });

  test('an error names the line of its source', async () => {
    const { directory, env } = deployment.functions.get('Authorizer') ?? assert.fail('no function Authorizer');
    assert.equal(env.NODE_OPTIONS, undefined); // by the bundle itself
    const started = spawnSync(process.execPath, [join(directory, 'index.js')], {
      env: { ...env, AUTH: '', SECRET_KEY_ARN: '' },
      encoding: 'utf8',
    });
    assert.match(started.stderr, /the configuration has no auth[\s\S]*functions\/authorizer\.ts:\d+/);
  });

  test('the modules that a pull loads do not grow', (t) => {
    const { directory } = deployment.functions.get('RequestHandler') ?? assert.fail('no function RequestHandler');
    const sizeBytes = loadedBytes(directory, ['index.js', chunkOf(directory, /^s3-driver-[A-Z0-9]{8}\.js$/)]);
    t.diagnostic(`${sizeBytes} bytes`);
    assert(sizeBytes > 100 * KiB && sizeBytes <= MAX_PULL_BYTES, `${sizeBytes} bytes`);
  });
});

const round = (milliseconds: number) => milliseconds.toFixed(0);

/** The file of a module that is imported on demand. */
function chunkOf(directory: string, name: RegExp): string {
  return readdirSync(directory).find((file) => name.test(file)) ?? assert.fail(`no ${name} in ${directory}`);
}

/** Of these files and all that they import in any case. */
function loadedBytes(directory: string, entries: string[]): number {
  const seen = new Set<string>();
  const sizes = (name: string): number => {
    if (seen.has(name)) return 0;
    seen.add(name);
    const text = readFileSync(join(directory, name), 'utf8');
    const imported = [...text.matchAll(/(?:from|import)"\.\/([^"]+)"/g)].map(([, file = '']) => file);
    return Buffer.byteLength(text) + imported.reduce((sum, file) => sum + sizes(file), 0);
  };
  return entries.reduce((sum, name) => sum + sizes(name), 0);
}
