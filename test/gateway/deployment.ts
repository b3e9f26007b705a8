// All of the stack on this machine: MinIO for S3, threads for functions, a process for the Web Function, and the gateway.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashPassword } from '../../lib/auth/passwords/bcrypt.ts';
import type { JsonObject } from '../../lib/model/json.ts';
import { type SeenRequest, startFaultyProxy } from '../storage/faulty-proxy.ts';
import { type Minio, startMinio } from '../support/minio.ts';
import { encryptBucket } from './bucket-encryption.ts';
import { startCredentialsEndpoint } from './credentials-endpoint.ts';
import { type BucketEvents, startBucketEvents } from './events.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { type HttpGateway, readHttpApi, startHttpApi } from './http-api.ts';
import { LambdaFunction } from './lambda-function.ts';
import { type LambdaService, startLambdaService } from './lambda-service.ts';
import {
  choosePort,
  type PushEndpoint,
  pushEndpointUrl,
  readPushEndpointStack,
  roleOf,
  startPushEndpoint,
} from './push-endpoint.ts';
import {
  assumeRole,
  attachedStatements,
  invokedFunctions,
  type RoleCredentials,
  readableSecrets,
  statementsOf,
} from './role.ts';
import { type SecretsManager, startSecretsManager } from './secrets-manager.ts';
import { ACCOUNT, REGION, type Resource, readStack, type Stack } from './template.ts';

export const USER = 'alice';
export const PASSWORD = 'correct horse';
/** Their credentials, as Basic has them. */
export const BASIC = Buffer.from(`${USER}:${PASSWORD}`).toString('base64');

export type Deployment = {
  stack: Stack;
  gateway: Gateway;
  /** Undefined with `Pages: off`. */
  pages: HttpGateway | undefined;
  functions: ReadonlyMap<string, LambdaFunction>;
  pushEndpoint: PushEndpoint | undefined;
  minio: Minio;
  /** Empty unless they are counted. */
  s3Requests: SeenRequest[];
  events: BucketEvents;
  secrets: SecretsManager;
  lambda: LambdaService;
  stop(): Promise<void>;
};

export type DeployOptions = {
  parameters?: Record<string, string>;
  /** The lines of the secret `Users`, instead of those with alice. */
  htpasswd?: string;
  headLength?: 'zero' | 'none';
  /** Counts what goes to S3, from functions and clients alike. */
  countsS3?: boolean;
  /** Where the Web Function finds its credentials, which AWS does not say: both are tested. */
  webFunctionKeys?: 'environment' | 'endpoint';
  /** Change the templates before they are read. */
  edit?: (template: JsonObject) => void;
  editPushEndpoint?: (template: JsonObject) => void;
};

const secretArn = (name: string) => `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:${name}-AbCdEf`;
export const SESSION_SECRET = secretArn('SessionSecret');
export const USERS = secretArn('Users');

/**
 * MinIO by a name that is not the gateway's, whose clients would else send it their password too; and by a name, since crane
 * follows no redirect from one private address to another.
 */
const S3_HOST = 'localhost';

export async function deploy({
  parameters = {},
  htpasswd,
  headLength = 'zero',
  countsS3 = false,
  webFunctionKeys: keysFrom = 'environment',
  edit,
  editPushEndpoint,
}: DeployOptions = {}): Promise<Deployment> {
  const ends: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const directory = await mkdtemp(join(tmpdir(), 'deployment-'));
    ends.push(() => rm(directory, { recursive: true, force: true }));
    const secrets = await startSecretsManager({
      [SESSION_SECRET]: 'a secret of the tests',
      [USERS]: htpasswd ?? `# users\n${USER}:${await hashPassword(PASSWORD)}\n`,
    });
    ends.push(() => secrets.stop());
    const lambda = await startLambdaService();
    ends.push(() => lambda.stop());
    const events = await startBucketEvents();
    ends.push(() => events.stop());
    const minio = await startMinio({ region: REGION, env: events.env });
    ends.push(() => minio.stop());

    const s3 = countsS3 ? await startFaultyProxy(minio.endpoint) : undefined;
    if (s3) ends.push(() => s3.close());

    const port = await choosePort();
    const stack = readStack(undefined, {
      ...(edit && { edit }),
      parameters: { BucketName: minio.bucket, ...parameters },
      known: {
        SessionSecret: SESSION_SECRET,
        Users: USERS,
        'PushEndpointStack.Outputs.Url': pushEndpointUrl(port),
      },
    });
    await encryptBucket(stack, minio);
    const environmentWith = async (role: Resource, attached: readonly JsonObject[] = []) => {
      const statements = [...statementsOf(role), ...attached];
      const credentials = await assumeRole(minio, statements);
      secrets.allow(credentials.accessKeyId, readableSecrets(statements));
      lambda.allow(credentials.accessKeyId, invokedFunctions(statements));
      return environmentOf(s3?.endpoint ?? minio.endpoint, { secrets, lambda }, credentials);
    };
    const functions = new Map<string, LambdaFunction>();
    for (const [id, resource] of stack.resources) {
      if (resource.type !== 'AWS::Serverless::Function') continue;
      functions.set(id, new LambdaFunction(stack, id, await environmentWith(resource, attachedStatements(stack, id))));
    }
    for (const found of functions.values()) ends.push(() => found.stop());
    lambda.connect(functions);
    await events.connect(stack, minio, functions);
    const nested = readPushEndpointStack(stack, editPushEndpoint);
    const withKeys = nested && (await environmentWith(roleOf(nested)));
    const credentials = withKeys && keysFrom === 'endpoint' ? await startCredentialsEndpoint(withKeys) : undefined;
    if (credentials) ends.push(() => credentials.stop());
    const env = credentials?.env ?? withKeys;
    const pushEndpoint = nested && env && (await startPushEndpoint(nested, { env, directory, port }));
    if (pushEndpoint) ends.push(() => pushEndpoint.stop());
    const gateway = await startGateway(stack, { functions, headLength });
    ends.push(() => gateway.stop());
    const pages = await startPages(stack, functions);
    if (pages) ends.push(() => pages.stop());
    const s3Requests = s3?.requests ?? [];
    return { stack, gateway, pages, functions, pushEndpoint, minio, s3Requests, events, secrets, lambda, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startPages(
  stack: Stack,
  functions: ReadonlyMap<string, LambdaFunction>,
): Promise<HttpGateway | undefined> {
  const api = readHttpApi(stack);
  const called = api && functions.get(api.functionId);
  return called && (await startHttpApi(api, called));
}

/** What only config.yml, not the template, knows of: another S3 than Amazon's. */
function environmentOf(
  s3Endpoint: string,
  { secrets, lambda }: { secrets: SecretsManager; lambda: LambdaService },
  { accessKeyId, secretAccessKey, sessionToken }: RoleCredentials,
): NodeJS.ProcessEnv {
  return {
    AWS_HOST: S3_HOST,
    AWS_PORT: new URL(s3Endpoint).port,
    AWS_SECURE: 'false',
    AWS_CALLING_FORMAT: 'boto.s3.connection.OrdinaryCallingFormat',
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.endpoint,
    AWS_ENDPOINT_URL_LAMBDA: lambda.endpoint,
  };
}
