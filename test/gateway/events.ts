// What S3 would tell the view worker, told by MinIO: with the notifications that the template gives the bucket.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { type Event, PutBucketNotificationConfigurationCommand, S3Client } from '@aws-sdk/client-s3';
import type { JsonValue } from '../../lib/json.ts';
import type { Minio } from '../minio.ts';
import type { LambdaFunction } from './lambda-function.ts';
import { arnOf, objectOf, type Stack } from './template.ts';

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
      if (!worker) throw new Error('the notifications of the bucket name no function of the stack');
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

type Notification = { event: string; prefix: string; functionId: string };

function notificationsOf({ resources }: Stack): Notification[] {
  const configuration = objectOf(
    resources.get('Bucket')?.properties.NotificationConfiguration ?? null,
    'notifications',
  );
  return listOf(configuration.LambdaConfigurations).map((item) => {
    const { Event: event, Function: arn, Filter } = objectOf(item, 'notification');
    const [rule] = listOf(objectOf(objectOf(Filter ?? null, 'Filter').S3Key ?? null, 'S3Key').Rules);
    const { Name, Value } = objectOf(rule ?? null, 'rule');
    if (Name !== 'prefix') throw new Error('only filters by prefix are known here');
    const [functionId] = [...resources.keys()].filter((id) => arnOf(id) === arn);
    return { event: String(event), prefix: String(Value), functionId: functionId ?? '' };
  });
}

function listOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}
