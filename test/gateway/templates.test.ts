// What the templates promise, read as they are written.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cameByEdge } from '../../functions/edge.ts';
import { loadConfig } from '../../lib/config/load.ts';
import type { JsonObject, JsonValue } from '../../lib/model/json.ts';
import { parseCloudFormationYaml } from './cloudformation-yaml.ts';
import { SESSION_SECRET, USERS } from './deployment.ts';
import { environmentVariablesOf, readPushEndpointStack } from './push-endpoint.ts';
import { objectOf, readStack, SOURCE_TEMPLATE, type Stack, type StackOptions } from './template.ts';

const ROOT = join(import.meta.dirname, '../..');
const TEMPLATES = ['template.yaml', ...readdirSync(join(ROOT, 'infra')).filter((name) => name.endsWith('.yaml'))];

function read(options: StackOptions = {}): Stack {
  return readStack(SOURCE_TEMPLATE, {
    known: { SessionSecret: SESSION_SECRET, Users: USERS, 'PushEndpointStack.Outputs.Url': 'https://push.example.com' },
    ...options,
  });
}

function templateOf(name: string): JsonObject {
  const path = join(ROOT, name === 'template.yaml' ? name : `infra/${name}`);
  return objectOf(parseCloudFormationYaml(readFileSync(path, 'utf8')), name);
}

const resourcesOf = (template: JsonObject) => Object.entries(objectOf(template.Resources ?? null, 'Resources'));
const variablesOf = ({ resources }: Stack, id = 'RequestHandler') => {
  const { Environment = null } = resources.get(id)?.properties ?? {};
  return objectOf(objectOf(Environment, 'Environment').Variables ?? null, 'Variables');
};

describe('sam deploy --guided', () => {
  for (const [name, value] of Object.entries(objectOf(templateOf('template.yaml').Parameters ?? null, 'Parameters'))) {
    // SAM CLI repeats the question for a parameter with NoEcho until it gets a value, even if there is a default.
    test(`asks for ${name}, which Enter can answer`, () => {
      const parameter = objectOf(value, name);
      assert('Default' in parameter);
      assert(!('NoEcho' in parameter));
    });
  }

  test('with the defaults gives a stack', () => assert(read().resources.size > 10));
});

describe('the bucket', () => {
  test('is named by account and region, if not by the operator', () => {
    for (const [parameters, bucket] of [
      [{}, 'stowage-123456789012-eu-west-1'],
      [{ BucketName: 'acme-images' }, 'acme-images'],
    ] as const) {
      const stack = read({ parameters });
      assert.equal(stack.resources.get('Bucket')?.properties.BucketName, bucket);
      assert.equal(variablesOf(stack).AWS_BUCKET, bucket);
      const nested = stack.resources.get('PushEndpointStack')?.properties.Parameters ?? null;
      assert.equal(objectOf(nested, 'Parameters').BucketName, bucket);
    }
  });

  test('that exists already must be named', () => {
    assert.throws(() => read({ parameters: { BucketIs: 'existing' } }), /BucketIs existing needs BucketName/);
  });
});

describe('a region without Web Functions', () => {
  const region = 'eu-south-2';
  test('is refused with an alternative', () => {
    assert.throws(() => read({ region }), /no Lambda Web Functions.*infra\/push-endpoint-ecs\.yaml/);
  });
  for (const PushEndpoint of ['none', 'https://push.example.com']) {
    test(`is accepted with PushEndpoint ${PushEndpoint}`, () => {
      assert.equal(read({ region, parameters: { PushEndpoint } }).resources.has('PushEndpointStack'), false);
    });
  }
});

describe("API Gateway's setting for the account", () => {
  const setters = (name: string) =>
    resourcesOf(templateOf(name)).filter(([id, value]) => objectOf(value, id).Type === 'AWS::ApiGateway::Account');

  for (const name of TEMPLATES.filter((template) => template !== 'gateway-account.yaml')) {
    test(`is not changed by ${name}`, () => assert.deepEqual(setters(name), []));
  }

  test('and its role outlive the stack that made them, also one that failed', () => {
    assert.equal(setters('gateway-account.yaml').length, 1);
    for (const [id, value] of resourcesOf(templateOf('gateway-account.yaml'))) {
      const { DeletionPolicy, UpdateReplacePolicy } = objectOf(value, id);
      assert.deepEqual([DeletionPolicy, UpdateReplacePolicy], ['Retain', 'Retain'], id);
    }
  });
});

describe('a variable of the environment that the stack leaves out', () => {
  for (const name of ['ACCESS', 'PUBLIC_URL', 'PUSH_ENDPOINT']) {
    test(`has the effect of an empty one: ${name}`, () => {
      const env = { SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'acme-images', SECRET_KEY: 'x'.repeat(32) };
      const { config: absent } = loadConfig({ env, directory: ROOT });
      const { config: empty } = loadConfig({ env: { ...env, [name]: '' }, directory: ROOT });
      assert.deepEqual(empty, absent);
    });
  }

  test('has the effect of an empty one: EDGE_KEY', () => {
    for (const key of ['', undefined]) assert.equal(cameByEdge('', key), false);
  });
});

describe('whether each caller has to log in', () => {
  for (const [Access, expected] of [
    ['private', 'false'],
    ['anonymous-pull', 'true'],
  ] as const) {
    test(`is the same for the authorizer, the pages and the push endpoint with Access ${Access}`, () => {
      const stack = read({ parameters: { Access, RegistryHost: 'registry.example.com' } });
      const nested = readPushEndpointStack(stack);
      const told = [
        variablesOf(stack, 'Authorizer'),
        variablesOf(stack, 'Ui'),
        nested && environmentVariablesOf(nested),
      ];
      assert.deepEqual(
        told.map((variables) => variables?.ANONYMOUS_PULL),
        [expected, expected, expected],
      );
    });
  }
});

describe('the permissions boundary', () => {
  const BOUNDARY = 'arn:aws:iam::123456789012:policy/boundary';
  for (const name of TEMPLATES) {
    const template = templateOf(name);
    const roles = resourcesOf(template).filter(([id, value]) =>
      ['AWS::IAM::Role', 'AWS::Serverless::Function'].includes(String(objectOf(value, id).Type)),
    );
    if (roles.length === 0) continue;
    test(`is that of every role of ${name}`, () => {
      assert('PermissionsBoundaryArn' in objectOf(template.Parameters ?? null, 'Parameters'));
      const { Function: common = {} } = objectOf(template.Globals ?? {}, 'Globals');
      for (const [id, value] of roles) {
        const { Type, Properties = null } = objectOf(value, id);
        const inherited = Type === 'AWS::Serverless::Function' ? objectOf(common, 'Function') : {};
        const { PermissionsBoundary = null } = { ...inherited, ...objectOf(Properties, id) };
        assert.deepEqual(PermissionsBoundary, IF_BOUNDARY, id);
      }
    });
  }

  test('is handed on to nested stacks', () => {
    const stack = read({ parameters: { PermissionsBoundaryArn: BOUNDARY } });
    for (const { type, properties } of stack.resources.values()) {
      if (type !== 'AWS::Serverless::Application') continue;
      assert.equal(objectOf(properties.Parameters ?? null, 'Parameters').PermissionsBoundaryArn, BOUNDARY);
    }
  });
});

const IF_BOUNDARY: JsonValue = {
  'Fn::If': ['HasBoundary', { Ref: 'PermissionsBoundaryArn' }, { Ref: 'AWS::NoValue' }],
};

describe('infra/push-endpoint-ecs.yaml', () => {
  const webFunction = templateOf('push-endpoint.yaml');
  const ecs = templateOf('push-endpoint-ecs.yaml');
  const namesOf = (template: JsonObject, section: string) => Object.keys(objectOf(template[section] ?? null, section));
  const propertiesOf = (template: JsonObject, id: string) => {
    const { Properties = null } = objectOf(objectOf(template.Resources ?? null, 'Resources')[id] ?? null, id);
    return objectOf(Properties, id);
  };

  test('has the parameters of the Web Function, except those that Fargate does not need', () => {
    const taken = namesOf(ecs, 'Parameters');
    const missing = namesOf(webFunction, 'Parameters').filter((name) => !taken.includes(name));
    assert.deepEqual(missing, ['Environments']);
    assert(namesOf(ecs, 'Outputs').includes('Url') && namesOf(webFunction, 'Outputs').includes('Url'));
  });

  test('may do in the bucket what the Web Function may', () => {
    const inBucket = (template: JsonObject) => {
      const [policy = null] = propertiesOf(template, 'Role').Policies as JsonValue[];
      const { PolicyDocument = null } = objectOf(policy, 'policy');
      const statements = objectOf(PolicyDocument, 'document').Statement as JsonObject[];
      return statements.filter((statement) => !/secretsmanager|logs:/.test(JSON.stringify(statement)));
    };
    assert(inBucket(ecs).length >= 4);
    assert.deepEqual(inBucket(ecs), inBucket(webFunction));
  });

  test('has the variables of the Web Function, except those for what the load balancer checks', () => {
    const { EnvironmentVariables = null } = propertiesOf(webFunction, 'PushEndpoint');
    const [container = null] = propertiesOf(ecs, 'Task').ContainerDefinitions as JsonValue[];
    const text = JSON.stringify(container);
    const missing = Object.keys(objectOf(EnvironmentVariables, 'EnvironmentVariables')).filter(
      (name) => !text.includes(`"Name":"${name}"`),
    );
    // SECRET_KEY comes from the secret itself. ANONYMOUS_PULL restricts rules in the package; the container has a file of its own.
    assert.deepEqual(missing.sort(), ['ANONYMOUS_PULL', 'EDGE_KEY', 'SECRET_KEY_ARN']);
    assert.match(text, /"Name":"SECRET_KEY"/);
  });

  // Else ECS refuses the target group, which no listener forwards to yet.
  test('starts the service after what forwards to it', () => {
    assert.match(
      JSON.stringify(propertiesOf(ecs, 'Service')),
      /"Fn::If":\["HasEdgeKey",{"Ref":"ByCloudFront"},{"Ref":"Listener"}]/,
    );
  });

  test('keeps idle connections shorter than the server does', () => {
    const seconds = /idle_timeout\.timeout_seconds","Value":"(\d+)"/.exec(JSON.stringify(ecs))?.[1];
    const [, serverSeconds] =
      /KEEP_ALIVE_MS = (\d+)_000/.exec(readFileSync(join(ROOT, 'lib/server/node-server.ts'), 'utf8')) ?? [];
    assert(Number(seconds) < Number(serverSeconds), `${seconds} s, ${serverSeconds} s`);
  });
});

describe('the push endpoint', () => {
  test('sends clients only to a revision that has started', () => {
    const { Resources = null, Outputs = null } = templateOf('push-endpoint.yaml');
    const { Live = null, Started = null } = objectOf(Resources, 'Resources');
    assert.partialDeepStrictEqual(objectOf(Live, 'Live').Properties, {
      RevisionWeights: [{ RevisionId: { 'Fn::GetAtt': 'Started.RevisionId' }, Weight: 100 }],
    });
    assert.partialDeepStrictEqual(objectOf(Started, 'Started').Properties, {
      RevisionId: { 'Fn::GetAtt': 'PushEndpointRevision.RevisionId' },
    });
    assert.match(JSON.stringify(Outputs), /"Url":.*"https:[/][/]\$\{Live\.DomainName\}"/);
  });

  for (const name of ['push-endpoint.yaml', 'push-endpoint-ecs.yaml']) {
    test(`has alarms that notify the operator's topic, in ${name}`, () => {
      const alarms = resourcesOf(templateOf(name)).filter(
        ([id, value]) => objectOf(value, id).Type === 'AWS::CloudWatch::Alarm',
      );
      assert.equal(alarms.length, 2);
      for (const [id, value] of alarms) assert('AlarmActions' in objectOf(objectOf(value, id).Properties ?? null, id));
    });
  }
});
