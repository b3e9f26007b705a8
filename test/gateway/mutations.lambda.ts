// Mistakes in the templates are noticed: each of these is made on purpose, and something must fail for it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '../../lib/model/json.ts';
import { layout } from '../../lib/model/layout.ts';
import { parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { digestOf, V2Client, withDigest } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { BASIC, type Deployment, type DeployOptions, deploy } from './deployment.ts';
import { objectOf } from './template.ts';

/** What has to work, in a few seconds. @throws if it does not */
async function probe({ gateway, minio }: Deployment): Promise<void> {
  const anybody = new V2Client(gateway.url);
  assert.match((await anybody.send('GET', '/v2/')).headers.get('WWW-Authenticate') ?? '', /^Basic realm=/);
  assert.equal((await anybody.send('GET', '/v1/_ping')).status, 200);
  assert.equal((await anybody.send('POST', '/v1/_ping')).status, 404);

  const Authorization = `Basic ${BASIC}`;
  const client = new V2Client(gateway.url, { Authorization });
  assert.equal((await client.send('GET', '/v2/')).status, 200);
  const bytes = randomBytes(100);
  const digest = digestOf(bytes);
  // Without the login: the push endpoint is another host.
  const put = await fetch(withDigest(await client.start('probe/app'), digest), {
    method: 'PUT',
    body: new Uint8Array(bytes),
  });
  assert.equal(put.status, 201);

  const staying = new V2Client(gateway.url, { Authorization, 'User-Agent': 'oras/1.3.6' });
  // Layers of zstd, of which the projection worker makes layers for v1.
  await pushImage(staying, 'probe/app', 'latest', { contents: ['x'], compression: 'zstd' });
  const blob = await client.send('GET', `/v2/probe/app/blobs/${digest}`);
  assert.equal(blob.status, 307);
  assert.equal((await client.send('DELETE', `/v2/probe/app/blobs/${digest}`)).status, 202);
  const large = await staying.send('PATCH', await staying.start('probe/app'), {
    body: new Uint8Array(6 * 1024 * 1024),
  });
  assert.match(await large.text(), /in a clone of Stowage run \W*npx stowage serve/);

  const driver = new S3Driver({ ...minio.driverOptions, keyPrefix: 'registry/' });
  const metadata = layout.tagJson(parseRepositoryName('probe/app'), parseTag('latest'));
  const deadline = Date.now() + 4000;
  while (metadata && !(await driver.head(metadata))) {
    assert(Date.now() < deadline, 'the projection worker has done nothing');
    await sleep(50);
  }
  await driver.close();
}

/** The map at a path of names, to be changed. */
function at(template: JsonObject, ...path: string[]): JsonObject {
  return path.reduce((map, name) => objectOf(map[name] ?? null, path.join('.')), template);
}

const properties = (template: JsonObject, id: string) => at(template, 'Resources', id, 'Properties');
const statement = (template: JsonObject, id: string, sid: string): JsonObject => {
  const [policy] = properties(template, id).Policies as [JsonObject];
  const found = (policy.Statement as JsonObject[]).find(({ Sid }) => Sid === sid);
  return found ?? assert.fail(`${id} has no statement ${sid}`);
};
const responses = (template: JsonObject) =>
  at(template, 'Resources', 'RestApi', 'Properties', 'DefinitionBody', 'x-amazon-apigateway-gateway-responses');

const MISTAKES: Record<string, DeployOptions> = {
  'no binary types': {
    edit: (t) =>
      delete at(t, 'Resources', 'RestApi', 'Properties', 'DefinitionBody')['x-amazon-apigateway-binary-media-types'],
  },
  'a 401 without a challenge': { edit: (t) => delete at(responses(t), 'UNAUTHORIZED').responseParameters },
  'a challenge that is not quoted': {
    edit: (t) => {
      at(responses(t), 'UNAUTHORIZED', 'responseParameters')['gatewayresponse.header.WWW-Authenticate'] =
        'Basic realm="Stowage"';
    },
  },
  'no stage for v1': { edit: (t) => delete at(t, 'Resources').StageV1 },
  'the gateway may not call the authorizer': { edit: (t) => delete at(t, 'Resources').GatewayMayCallAuthorizer },
  'what is missing is 403': { edit: (t) => delete responses(t).MISSING_AUTHENTICATION_TOKEN },
  'what is too large is not explained': { edit: (t) => delete responses(t).DEFAULT_4XX },
  'the authorizer may not read the users': {
    edit: (t) => (statement(t, 'Authorizer', 'ReadSecrets').Resource = 'none'),
  },
  'the API may not write': { edit: (t) => (statement(t, 'RequestHandler', 'Write').Action = ['s3:GetObject']) },
  'the API may not delete links': {
    edit: (t) => (statement(t, 'RequestHandler', 'DeleteWhatNamesBytesButNoBytes').Action = 's3:GetObject'),
  },
  'the projection worker may not write': {
    edit: (t) => (statement(t, 'ProjectionWorker', 'WriteProjections').Action = ['s3:GetObject']),
  },
  'the projection worker may not store layers': {
    edit: (t) => {
      const writing = statement(t, 'ProjectionWorker', 'WriteProjections');
      writing.Resource = (writing.Resource as JsonObject[]).filter((arn) => !JSON.stringify(arn).includes('oci/blobs'));
    },
  },
  'events of another folder': {
    edit: (t) => {
      for (const item of at(t, 'Resources', 'Bucket', 'Properties', 'NotificationConfiguration')
        .LambdaConfigurations as JsonObject[]) {
        item.Filter = { S3Key: { Rules: [{ Name: 'prefix', Value: 'repositories/' }] } };
      }
    },
  },
  'the bucket may not call the projection worker': {
    edit: (t) => delete at(t, 'Resources').BucketMayCallProjectionWorker,
  },
  'another bucket may call the projection worker': {
    edit: (t) => (properties(t, 'BucketMayCallProjectionWorker').SourceArn = 'arn:aws:s3:::another'),
  },
  'a bucket that may be there before it may call': { edit: (t) => delete at(t, 'Resources', 'Bucket').DependsOn },
  'failed events get lost': { edit: (t) => delete properties(t, 'ProjectionWorker').DeadLetterQueue },
  'a bucket without notifications': { edit: (t) => delete properties(t, 'Bucket').NotificationConfiguration },
  'the API without a secret': {
    edit: (t) => delete at(properties(t, 'RequestHandler'), 'Environment', 'Variables').SECRET_KEY_ARN,
  },
  'a push endpoint on another folder of the bucket': {
    editPushEndpoint: (t) => (at(properties(t, 'PushEndpoint'), 'EnvironmentVariables').STORAGE_PATH = '/elsewhere'),
  },
  'a push endpoint with another entry than was built': {
    editPushEndpoint: (t) => (properties(t, 'PushEndpoint').EntryPoint = 'server.mjs'),
  },
};

describe('mistakes in the templates', { concurrency: 1 }, () => {
  test('without one all is well', () => withDeployment({}, probe));

  for (const [title, options] of Object.entries(MISTAKES)) {
    test(`"${title}" is noticed`, async () => {
      // Failed functions say so on standard error, as they should.
      await assert.rejects(withDeployment(options, probe));
    });
  }
});

async function withDeployment(options: DeployOptions, use: (deployment: Deployment) => Promise<void>): Promise<void> {
  const deployment = await deploy(options);
  try {
    await use(deployment);
  } finally {
    await deployment.stop();
  }
}
