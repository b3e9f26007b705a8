// The template with every combination of parameters that are conditions in it: some are refused, and for the others all that
// the template refers to is there.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../lib/model/json.ts';
import { SESSION_SECRET, USERS } from './deployment.ts';
import { notificationsOf } from './events.ts';
import { readHttpApi } from './http-api.ts';
import { environmentVariablesOf, readPushEndpointStack, roleOf } from './push-endpoint.ts';
import { readRestApi } from './rest-api.ts';
import { readableSecrets, statementsOf } from './role.ts';
import { objectOf, type Resource, readStack, type Stack } from './template.ts';

type Parameters = Record<string, string>;

const HOST = 'registry.example.com';
const ELSEWHERE = 'https://push.example.com';
const NESTED = 'https://nested.example.com';

const KEY = 'arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';

const BOUNDARY = 'arn:aws:iam::123456789012:policy/boundary';

/** What the API, the push endpoint and the pages have to be told alike. */
const SAME_FOR_ALL = [
  'AWS_BUCKET',
  'STORAGE_PATH',
  'SECRET_KEY_ARN',
  'AUTH',
  'ACCESS',
  'TRUSTED_PROXIES',
  'EDGE_KEY',
  'LOGLEVEL',
];

/** And what the first two of them, on the same host. */
const SAME_FOR_BOTH = [...SAME_FOR_ALL, 'PUBLIC_URL'];

const CHOICES: Record<string, string[]> = {
  BucketIs: ['new', 'existing'],
  Access: ['private', 'anonymous-pull'],
  RegistryHost: ['', HOST],
  PushEndpoint: ['web-function', 'none', ELSEWHERE],
  Edge: ['none', 'cloudfront'],
  EdgeKey: ['', 'abcdefgh12345678'],
  CertificateArn: ['', 'arn:aws:acm:eu-west-1:123456789012:certificate/1234abcd'],
  Pages: ['on', 'off'],
};

/** These have nothing to do with the others, nor with one another. */
const APART: Parameters[] = [
  { Versioning: 'Suspended', V2VersionHeader: 'never' },
  { Versioning: 'Enabled', GatewayLogs: 'role-exists', AlarmTopicArn: 'arn:aws:sns:eu-west-1:123456789012:alarms' },
  {
    GatewayLogs: 'none',
    LogRetentionDays: '1',
    UsersSecretArn: USERS.replace('Users', 'OldUsers'),
    StoragePath: '',
    BucketName: 'registry.example.com',
    PermissionsBoundaryArn: BOUNDARY,
  },
  { Versioning: 'Off', StoragePath: 'old/registry/', BucketName: 'My_Bucket', KmsKeyArn: KEY },
];

/** What the rules of the template say, said once more. */
function refusalOf({
  Access,
  RegistryHost,
  PushEndpoint,
  Edge,
  EdgeKey,
  CertificateArn,
}: Parameters): RegExp | undefined {
  if (Access === 'anonymous-pull' && RegistryHost === '') return /Access anonymous-pull needs RegistryHost/;
  if (Edge === 'cloudfront' && RegistryHost === '') return /Edge cloudfront needs RegistryHost/;
  if (Edge === 'cloudfront' && PushEndpoint === 'none') return /Edge cloudfront needs a PushEndpoint/;
  if (Edge === 'cloudfront' && EdgeKey === '') return /Edge cloudfront needs EdgeKey/;
  if (CertificateArn !== '' && RegistryHost === '') return /CertificateArn needs RegistryHost/;
  if (CertificateArn !== '' && Edge === 'cloudfront') return /Choose one of them/;
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
  for (const [name, value] of stack.outputs) assert.doesNotMatch(value, /^$|\$\{|undefined|null|\[object/, name);
  const nested = readPushEndpointStack(stack);
  checkGateway(stack);
  checkPages(stack);
  checkBucket(stack);
  checkPushEndpoint(stack, nested);
  checkRoles(stack, nested);
}

function checkGateway(stack: Stack): void {
  const { RegistryHost, GatewayLogs, CertificateArn } = stack.parameters;
  assert.equal(stack.outputs.get('Host'), RegistryHost || 'restapi-id.execute-api.eu-west-1.amazonaws.com');
  const { routes, stages, gatewayResponses } = readRestApi(stack);
  const version = stack.parameters.V2VersionHeader === 'never' ? undefined : 'registry/2.0';
  for (const [type, { headers }] of gatewayResponses) {
    assert.equal(headers['Docker-Distribution-Api-Version'], version, type);
  }
  assert.equal(variablesOf(resourceOf(stack, 'RequestHandler')).V2_VERSION_HEADER, stack.parameters.V2VersionHeader);
  assert.deepEqual(stages, ['v2', 'v1']);
  assert.equal(routes.size, 3);
  for (const id of ['RestApi', 'StageV1']) {
    assert.equal('AccessLogSetting' in resourceOf(stack, id).properties, GatewayLogs === 'role-exists', id);
  }
  const mapped = ['DomainV1', 'DomainV2'].map((id) => stack.resources.get(id)?.properties.BasePath);
  assert.deepEqual(mapped, CertificateArn ? ['v1', 'v2'] : [undefined, undefined]);
  assert.equal(stack.outputs.has('HostTarget'), CertificateArn !== '');
}

function checkPages(stack: Stack): void {
  const { Pages, RegistryHost, CertificateArn, Edge } = stack.parameters;
  const isThere = Pages === 'on';
  assert.equal(readHttpApi(stack) !== undefined, isThere);
  const [host, ownHost] = ['restapi-id', 'pagesapi-id'].map((id) => `${id}.execute-api.eu-west-1.amazonaws.com`);
  assert.equal(stack.outputs.get('PagesHost'), isThere ? ownHost : undefined);
  const shown = CertificateArn || Edge === 'cloudfront' ? RegistryHost : ownHost;
  assert.equal(stack.outputs.get('PagesUrl'), isThere ? `https://${shown}/ui/` : undefined);
  assert.equal(stack.resources.has('DomainPages'), isThere && CertificateArn !== '');
  if (!isThere) return;
  const [own, ofApi] = ['Ui', 'RequestHandler'].map((id) => variablesOf(resourceOf(stack, id)));
  for (const name of SAME_FOR_ALL) assert.equal(own?.[name], ofApi?.[name], name);
  assert.equal('AccessLogSettings' in resourceOf(stack, 'PagesStage').properties, stack.resources.has('PagesLog'));
  assert.equal(own?.PUBLIC_URL, `https://${RegistryHost || host}`);
}

function checkBucket(stack: Stack): void {
  const { BucketIs, StoragePath, Versioning } = stack.parameters;
  const bucket = stack.resources.get('Bucket');
  assert.equal(bucket !== undefined, BucketIs === 'new');
  if (bucket) checkVersions(bucket.properties, Versioning ?? '');
  const prefix = `${StoragePath}repositories/`;
  const expected = ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'].map((event) => ({
    event,
    prefix,
    functionId: 'ProjectionWorker',
  }));
  assert.deepEqual(notificationsOf(stack), expected);
}

function checkPushEndpoint(stack: Stack, nested: Stack | undefined): void {
  const { PushEndpoint, Edge, RegistryHost } = stack.parameters;
  const isEdge = Edge === 'cloudfront';
  const PUBLIC_URL = RegistryHost ? `https://${RegistryHost}` : undefined;
  const TRUSTED_PROXIES = isEdge ? '2' : '1';
  const urls = new Map([
    ['web-function', NESTED],
    ['none', undefined],
  ]);
  // Clients of the edge push where they are; all others where the push endpoint is.
  const PUSH_ENDPOINT = isEdge ? undefined : urls.has(PushEndpoint ?? '') ? urls.get(PushEndpoint ?? '') : ELSEWHERE;
  const ofApi = variablesOf(resourceOf(stack, 'RequestHandler'));
  for (const [name, value] of Object.entries({ PUBLIC_URL, PUSH_ENDPOINT, TRUSTED_PROXIES })) {
    assert.equal(ofApi[name], value, name);
  }
  const { outputs } = stack;
  assert.match(outputs.get('LargestLayer') ?? '', PushEndpoint === 'none' ? /4\.4 MiB/ : /through https:/);

  assert.equal(nested !== undefined, PushEndpoint === 'web-function');
  assert.equal(outputs.has('PushEndpointUrl'), nested !== undefined);
  if (!nested) return;
  const own = environmentVariablesOf(nested);
  for (const name of SAME_FOR_BOTH) assert.equal(own[name], ofApi[name], name);
}

function checkRoles(stack: Stack, nested: Stack | undefined): void {
  const { KmsKeyArn, UsersSecretArn, PermissionsBoundaryArn } = stack.parameters;
  const users = UsersSecretArn || USERS;
  assert.equal(stack.resources.has('Users'), users === USERS);
  assert.equal(stack.outputs.get('UsersSecretArn'), users);
  assert.equal(variablesOf(resourceOf(stack, 'RequestHandler')).AUTH, `{htpasswd: "${users}"}`);
  const worker = resourceOf(stack, 'ProjectionWorker');
  const asking = [
    resourceOf(stack, 'RequestHandler'),
    resourceOf(stack, 'Authorizer'),
    ...(stack.resources.has('Ui') ? [resourceOf(stack, 'Ui')] : []),
    ...(nested ? [roleOf(nested)] : []),
  ];
  for (const role of [worker, ...asking]) {
    assert.equal(role.properties.PermissionsBoundary, PermissionsBoundaryArn || undefined);
    checkKey(statementsOf(role), KmsKeyArn);
    assert.deepEqual(readableSecrets(statementsOf(role)), role === worker ? [] : [SESSION_SECRET, users]);
  }
}

/** A bucket that had versioning keeps its old versions until they expire, even if versioning is suspended now. */
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

/** Reads need kms:Decrypt, writes kms:GenerateDataKey, and completing a multipart upload both. */
function checkKey(statements: JsonObject[], key = ''): void {
  const may = (action: string) => statements.some(({ Action }) => [Action].flat().includes(action));
  const expected = ['kms:Decrypt', ...(may('s3:PutObject') ? ['kms:GenerateDataKey'] : [])];
  const onKey = statements
    .filter(({ Resource: resource }) => resource === KEY)
    .flatMap(({ Action }) => [Action].flat());
  assert.deepEqual(onKey, key === '' ? [] : expected);
}

function variablesOf({ properties }: Resource): JsonObject {
  return objectOf(objectOf(properties.Environment ?? null, 'Environment').Variables ?? null, 'Variables');
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
