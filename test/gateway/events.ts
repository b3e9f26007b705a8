// What S3 would tell the projection worker, told by MinIO: with the notifications that the template gives the bucket.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { type Event, PutBucketNotificationConfigurationCommand, S3Client } from '@aws-sdk/client-s3';
import type { JsonValue } from '../../lib/model/json.ts';
import type { Minio } from '../support/minio.ts';
import type { LambdaFunction } from './lambda-function.ts';
import { ACCOUNT, arnOf, objectOf, type Resource, type Stack } from './template.ts';

export type BucketEvents = {
  /** For MinIO, before it starts. */
  env: Record<string, string>;
  /** Puts the template's notifications on the bucket; events go to the function that they name. */
  connect(stack: Stack, minio: Minio, functions: ReadonlyMap<string, LambdaFunction>): Promise<void>;
  /** When every event that has come is handled. */
  idle(): Promise<void>;
  /** What failed. */
  errors: unknown[];
  stop(): Promise<void>;
};

const TARGET = 'arn:minio:sqs:REGION:LAMBDA:webhook';

export async function startBucketEvents(): Promise<BucketEvents> {
  const errors: unknown[] = [];
  const running = new Set<Promise<unknown>>();
  let deliver: ((event: object) => Promise<unknown>) | undefined;
  const server = createServer(async (request, response) => {
    const event = (await json(request)) as object;
    response.end();
    const work = deliver?.(event).catch((error: unknown) => errors.push(error));
    if (!work) return;
    running.add(work);
    void work.then(() => running.delete(work));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    env: {
      MINIO_NOTIFY_WEBHOOK_ENABLE_LAMBDA: 'on',
      MINIO_NOTIFY_WEBHOOK_ENDPOINT_LAMBDA: `http://127.0.0.1:${port}/`,
    },
    async connect(stack, minio, functions) {
      const notifications = notificationsOf(stack);
      const [id = ''] = new Set(notifications.map(({ functionId }) => functionId));
      const worker = functions.get(id);
      if (!worker) throw new Error(`the function ${id} does not run`);
      deliver = (event) => worker.invoke(event);
      const { endpoint, credentials, bucket: Bucket, driverOptions } = minio;
      const region = driverOptions.region ?? '';
      const client = new S3Client({ endpoint, credentials, region, forcePathStyle: true });
      const QueueConfigurations = notifications.map(({ event, prefix }, index) => ({
        Id: String(index),
        QueueArn: TARGET.replace('REGION', region),
        Events: [event as Event],
        Filter: { Key: { FilterRules: [{ Name: 'prefix' as const, Value: prefix }] } },
      }));
      const NotificationConfiguration = { QueueConfigurations };
      await client.send(new PutBucketNotificationConfigurationCommand({ Bucket, NotificationConfiguration }));
      client.destroy();
    },
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
    errors,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export type Notification = { event: string; prefix: string; functionId: string };

/**
 * What S3 tells whom.
 * @throws Error if the bucket may not call the function, or what fails there gets lost
 */
export function notificationsOf(stack: Stack): Notification[] {
  const bucket = stack.resources.get('Bucket');
  const found = bucket ? notificationsOfBucket(stack, bucket) : ownersNotifications(stack);
  for (const { functionId } of found) {
    const permission = permissionFor(stack, functionId);
    // S3 tries to call when it is given notifications, so that has to be allowed before there is the bucket.
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
    if (bucket && !bucket.dependsOn.includes(permission))
      throw new Error(`the bucket may be made before ${permission}`);
    checkDeadLetters(stack, functionId);
  }
  return found;
}

/** Those that docs/deploy.md tells the owner of an existing bucket to add to it. */
function ownersNotifications({ parameters, outputs, resources }: Stack): Notification[] {
  const functionId = functionOf(resources, outputs.get('ProjectionWorkerArn') ?? null);
  const prefix = `${parameters.StoragePath}repositories/`;
  return ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'].map((event) => ({ event, prefix, functionId }));
}

function permissionFor({ resources, parameters }: Stack, functionId: string): string {
  const [id] =
    [...resources].find(
      ([, { type, properties }]) =>
        type === 'AWS::Lambda::Permission' &&
        properties.Principal === 's3.amazonaws.com' &&
        properties.Action === 'lambda:InvokeFunction' &&
        properties.FunctionName === `${functionId.toLowerCase()}-id` &&
        properties.SourceArn === `arn:aws:s3:::${parameters.BucketName}` &&
        properties.SourceAccount === ACCOUNT,
    ) ?? [];
  if (id === undefined)
    throw new Error(`the bucket may not call ${functionId}: there is no AWS::Lambda::Permission for it`);
  return id;
}

function checkDeadLetters({ resources }: Stack, functionId: string): void {
  const { DeadLetterQueue = null } = resources.get(functionId)?.properties ?? {};
  const { Type, TargetArn } = objectOf(DeadLetterQueue, `the dead-letter queue of ${functionId}`);
  const [, queue] = [...resources].find(([id]) => arnOf(id) === TargetArn) ?? [];
  if (Type !== 'SQS' || queue?.type !== 'AWS::SQS::Queue')
    throw new Error(`events that ${functionId} fails at get lost`);
}

function notificationsOfBucket({ resources }: Stack, { properties }: Resource): Notification[] {
  const configuration = objectOf(properties.NotificationConfiguration ?? null, 'notifications');
  return listOf(configuration.LambdaConfigurations).map((item) => {
    const { Event: event, Function: arn, Filter } = objectOf(item, 'notification');
    const [rule] = listOf(objectOf(objectOf(Filter ?? null, 'Filter').S3Key ?? null, 'S3Key').Rules);
    const { Name, Value } = objectOf(rule ?? null, 'rule');
    if (Name !== 'prefix') throw new Error('only filters by prefix are known here');
    return { event: String(event), prefix: String(Value), functionId: functionOf(resources, arn ?? null) };
  });
}

function functionOf(resources: Stack['resources'], arn: JsonValue): string {
  const [id, found] = [...resources].find(([name]) => arnOf(name) === arn) ?? [];
  if (id === undefined || found?.type !== 'AWS::Serverless::Function')
    throw new Error(`${arn} is no function of the stack`);
  return id;
}

function listOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}
