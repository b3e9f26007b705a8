// The template with every combination of parameters that are conditions in it: some are refused, and for the others all that
// the template refers to is there.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../lib/json.ts';
import { SESSION_SECRET, USERS } from './deployment.ts';
import { notificationsOf } from './events.ts';
import { readPushEndpointStack, roleOf, webFunctionOf } from './push-endpoint.ts';
import { readRestApi } from './rest-api.ts';
import { readableSecrets, statementsOf } from './role.ts';
import { objectOf, type Resource, readStack, type Stack } from './template.ts';

type Parameters = Record<string, string>;

const HOST = 'registry.example.com';
const ELSEWHERE = 'https://push.example.com';
const NESTED = 'https://nested.example.com';

const KEY = 'arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';

const CHOICES: Record<string, string[]> = {
  BucketIs: ['new', 'existing'],
  Access: ['private', 'anonymous-pull'],
  RegistryHost: ['', HOST],
  PushEndpoint: ['web-function', 'none', ELSEWHERE],
  Edge: ['none', 'cloudfront'],
};

/** These have nothing to do with the others, nor with one another. */
const APART: Parameters[] = [
  { Versioning: 'Suspended', GatewayLogs: 'with-role' },
  { Versioning: 'Enabled', GatewayLogs: 'role-exists', AlarmTopicArn: 'arn:aws:sns:eu-west-1:123456789012:alarms' },
  {
    GatewayLogs: 'none',
    LogRetentionDays: '1',
    UsersSecretArn: USERS.replace('Users', 'OldUsers'),
    StoragePath: '',
    BucketName: 'registry.example.com',
  },
  { Versioning: 'Off', StoragePath: 'old/registry/', BucketName: 'My_Bucket', KmsKeyArn: KEY },
];

/** What the rules of the template say, said once more. */
function refusalOf({ Access, RegistryHost, PushEndpoint, Edge }: Parameters): RegExp | undefined {
  if (Access === 'anonymous-pull' && RegistryHost === '') return /Access anonymous-pull needs RegistryHost/;
  if (Edge === 'cloudfront' && RegistryHost === '') return /Edge cloudfront needs RegistryHost/;
  if (Edge === 'cloudfront' && PushEndpoint === 'none') return /Edge cloudfront needs a PushEndpoint/;
  return undefined;
}

describe('the template', () => {
  for (const [name, value] of [
    ['StoragePath', 'registry'],
    ['StoragePath', '/registry/'],
    ['StoragePath', 'a//b/'],
    ['StoragePath', '*/'],
    ['BucketName', 'acme/images'],
    ['BucketName', '*'],
  ] as const) {
    test(`takes no ${name} like ${value}`, () => {
      assert.throws(() => stackWith({ [name]: value }), new RegExp(`${name} .* does not match`));
    });
  }

  for (const parameters of combinationsOf(CHOICES)) {
    const refusal = refusalOf(parameters);
    const title = Object.values(parameters).filter(Boolean).join(', ');
    test(`${refusal ? 'refuses' : 'holds together with'} ${title}`, () => {
      for (const apart of APART) {
        const read = () => stackWith({ ...parameters, ...apart });
        if (refusal) assert.throws(read, refusal);
        else check(read());
      }
    });
  }
});

function stackWith(parameters: Parameters): Stack {
  return readStack(undefined, {
    parameters: { BucketName: 'acme-images', ...parameters },
    known: { SessionSecret: SESSION_SECRET, Users: USERS, 'PushEndpointStack.Outputs.Url': NESTED },
  });
}

function check(stack: Stack): void {
  const { parameters, outputs, resources } = stack;
  const {
    PushEndpoint,
    Edge,
    RegistryHost,
    BucketIs,
    GatewayLogs,
    StoragePath,
    KmsKeyArn,
    Versioning,
    UsersSecretArn,
  } = parameters;
  const isEdge = Edge === 'cloudfront';
  for (const [name, value] of outputs) assert.doesNotMatch(value, /^$|\$\{|undefined|null|\[object/, name);
  assert.equal(outputs.get('Host'), RegistryHost || 'registry-id.execute-api.eu-west-1.amazonaws.com');

  const { routes, stages } = readRestApi(stack);
  assert.deepEqual(stages, ['v2', 'v1']);
  assert.equal(routes.size, 3);
  for (const id of ['Registry', 'StageV1']) {
    assert.equal('AccessLogSetting' in resourceOf(stack, id).properties, GatewayLogs !== 'none', id);
  }

  const bucket = resources.get('Bucket');
  assert.equal(bucket !== undefined, BucketIs === 'new');
  if (bucket) checkVersions(bucket.properties, Versioning ?? '');
  for (const { prefix, functionId } of notificationsOf(stack)) {
    assert.deepEqual({ prefix, functionId }, { prefix: `${StoragePath}repositories/`, functionId: 'ViewWorker' });
  }

  const PUBLIC_URL = RegistryHost ? `https://${RegistryHost}` : '';
  const TRUSTED_PROXIES = isEdge ? '2' : '1';
  const urls: Record<string, string> = { 'web-function': NESTED, none: '' };
  // Clients of the edge push where they are; all others where the push endpoint is.
  const PUSH_ENDPOINT = isEdge ? '' : (urls[PushEndpoint ?? ''] ?? ELSEWHERE);
  const variables = objectOf(resourceOf(stack, 'Api').properties.Environment ?? null, 'Environment').Variables ?? null;
  assert.partialDeepStrictEqual(variables, { PUBLIC_URL, PUSH_ENDPOINT, TRUSTED_PROXIES });
  assert.match(outputs.get('LargestLayer') ?? '', PushEndpoint === 'none' ? /4\.4 MiB/ : /any size, through https:/);

  const nested = readPushEndpointStack(stack);
  assert.equal(nested !== undefined, PushEndpoint === 'web-function');
  assert.equal(outputs.has('PushEndpointUrl'), nested !== undefined);
  const roles = ['Api', 'Authorizer', 'ViewWorker'].map((id) => resourceOf(stack, id));
  if (nested) roles.push(roleOf(nested));
  for (const role of roles) checkKey(statementsOf(role), KmsKeyArn);
  const users = UsersSecretArn || USERS;
  assert.equal(resources.has('Users'), users === USERS);
  assert.equal(outputs.get('UsersSecretArn'), users);
  assert.equal(objectOf(variables, 'Variables').AUTH, `{htpasswd: "${users}"}`);
  for (const role of roles) {
    const isWorker = role === resourceOf(stack, 'ViewWorker');
    assert.deepEqual(readableSecrets(statementsOf(role)), isWorker ? [] : [SESSION_SECRET, users]);
  }
  if (!nested) return;
  const same = objectOf(variables, 'Variables');
  const own = objectOf(webFunctionOf(nested).properties.EnvironmentVariables ?? null, 'EnvironmentVariables');
  for (const name of [
    'AWS_BUCKET',
    'STORAGE_PATH',
    'SECRET_KEY_ARN',
    'AUTH',
    'ACCESS',
    'PUBLIC_URL',
    'TRUSTED_PROXIES',
  ]) {
    assert.equal(own[name], same[name], name);
  }
}

/** A bucket that had versions has them until they are expired, whatever it does now. */
function checkVersions(
  { VersioningConfiguration, LifecycleConfiguration = null }: JsonObject,
  versioning: string,
): void {
  assert.deepEqual(VersioningConfiguration, versioning === 'Off' ? undefined : { Status: versioning });
  const { Rules: rules = null } = objectOf(LifecycleConfiguration, 'LifecycleConfiguration');
  assert(Array.isArray(rules));
  const forVersions = { NoncurrentVersionExpiration: { NoncurrentDays: 30 }, ExpiredObjectDeleteMarker: true };
  assert.partialDeepStrictEqual(
    rules.find((rule) => objectOf(rule, 'rule').Id === 'old-versions'),
    forVersions,
  );
}

/** Whoever reads has to decrypt, and whoever writes needs a new key too; to put the parts of an upload together, both. */
function checkKey(statements: JsonObject[], key = ''): void {
  const may = (action: string) => statements.some(({ Action }) => [Action].flat().includes(action));
  const expected = ['kms:Decrypt', ...(may('s3:PutObject') ? ['kms:GenerateDataKey'] : [])];
  const onKey = statements
    .filter(({ Resource: resource }) => resource === KEY)
    .flatMap(({ Action }) => [Action].flat());
  assert.deepEqual(onKey, key === '' ? [] : expected);
}

function resourceOf({ resources }: Stack, id: string): Resource {
  return resources.get(id) ?? assert.fail(`there is no ${id}`);
}

function combinationsOf(choices: Record<string, string[]>): Parameters[] {
  return Object.entries(choices).reduce<Parameters[]>(
    (all, [name, values]) => all.flatMap((some) => values.map((value) => ({ ...some, [name]: value }))),
    [{}],
  );
}
