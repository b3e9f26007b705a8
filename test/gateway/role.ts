// A function's role: MinIO judges by the very statements of the template what a function may do with the bucket.
import { hash } from 'node:crypto';
import { isJsonObject, type JsonObject, type JsonValue } from '../../lib/model/json.ts';
import { AwsSigner } from '../../lib/storage/aws-signature.ts';
import type { Minio } from '../support/minio.ts';
import { objectOf, physicalId, REGION, type Resource, type Stack } from './template.ts';

export type RoleCredentials = { accessKeyId: string; secretAccessKey: string; sessionToken: string };

/** The statements of a function's `Policies`, or of the policies of a role. */
export function statementsOf({ type, properties }: Resource): JsonObject[] {
  const policies = listOf(properties.Policies);
  const documents =
    type === 'AWS::IAM::Role' ? policies.map((policy) => objectOf(policy, type).PolicyDocument) : policies;
  return documents.flatMap((document) => listOf(objectOf(document ?? null, 'policy').Statement)).filter(isJsonObject);
}

/** The statements of the policies that the stack attaches to the role which SAM makes for a function. */
export function attachedStatements({ resources }: Stack, functionId: string): JsonObject[] {
  const role = physicalId(`${functionId}Role`);
  const attached = [...resources.values()].filter(
    ({ type, properties }) => type === 'AWS::IAM::Policy' && listOf(properties.Roles).includes(role),
  );
  return attached
    .flatMap(({ properties }) => listOf(objectOf(properties.PolicyDocument ?? null, 'policy').Statement))
    .filter(isJsonObject);
}

/** What `secretsmanager:GetSecretValue` is allowed for. */
export const readableSecrets = (statements: readonly JsonObject[]) =>
  allowedResources(statements, 'secretsmanager:GetSecretValue');

/** The functions that `lambda:InvokeFunction` is allowed for. */
export const invokedFunctions = (statements: readonly JsonObject[]) =>
  allowedResources(statements, 'lambda:InvokeFunction');

function allowedResources(statements: readonly JsonObject[], action: string): string[] {
  return statements
    .filter(({ Action }) => listOf(Action).includes(action))
    .flatMap(({ Resource: resource }) => listOf(resource).map(String));
}

/**
 * Credentials that may do with S3 what the statements allow, and nothing else.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 */
export async function assumeRole(minio: Minio, statements: readonly JsonObject[]): Promise<RoleCredentials> {
  const forS3 = statements.filter(({ Action }) => listOf(Action).every((action) => String(action).startsWith('s3:')));
  // A role without rights in S3 still needs a key to sign with.
  const nothing = [{ Effect: 'Deny', Action: 's3:*', Resource: 'arn:aws:s3:::*' }];
  const Statement = forS3.length > 0 ? forS3.flatMap(forMinio) : nothing;
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
  const body = new URLSearchParams({ Action: 'AssumeRole', Version: '2011-06-15', Policy }).toString();
  const type = { 'content-type': 'application/x-www-form-urlencoded' };
  const request = { method: 'POST', host: new URL(minio.endpoint).host, path: '/', headers: type };
  const signing = { region: REGION, credentials: minio.credentials, timeMs: Date.now() };
  const headers = new AwsSigner('sts').headersOf(request, hash('sha256', body), signing);
  const response = await fetch(minio.endpoint, { method: 'POST', headers, body });
  const text = await response.text();
  const valueOfTag = (name: string) =>
    new RegExp(`<${name}>([^<]+)<`).exec(text)?.[1] ?? fail(`MinIO gave no role: ${response.status} ${text}`);
  return {
    accessKeyId: valueOfTag('AccessKeyId'),
    secretAccessKey: valueOfTag('SecretAccessKey'),
    sessionToken: valueOfTag('SessionToken'),
  };
}

/** MinIO knows no `…IfExists`: the same in two statements. */
function forMinio(statement: JsonObject): JsonObject[] {
  const { Sid: _, Condition, ...rest } = statement;
  if (!isJsonObject(Condition ?? null)) return [rest];
  const { StringLikeIfExists: conditions, ...others } = Condition as JsonObject;
  if (!isJsonObject(conditions ?? null) || Object.keys(others).length > 0)
    throw new Error('a condition not known here');
  const absent = Object.fromEntries(Object.keys(conditions as JsonObject).map((key) => [key, 'true']));
  return [
    { ...rest, Condition: { StringLike: conditions ?? null } },
    { ...rest, Condition: { Null: absent } },
  ];
}

function listOf(value: JsonValue | undefined): JsonValue[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function fail(message: string): never {
  throw new Error(message);
}
