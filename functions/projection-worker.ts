// Keeps what v1 shows of a tag in step with it, behind every change of a tag's object.
import type { S3Event } from 'aws-lambda';
import { parseTagKey } from '../lib/model/layout.ts';
import { openRegistry } from '../lib/server/open-registry.ts';
import { readConfiguration } from './configuration.ts';

const { config, log } = await readConfiguration();
if (config.storage.driver !== 's3') throw new Error('the projection worker needs storage: s3');
const { keyPrefix } = config.storage.options;
const { registry } = await openRegistry(config, { log });

/** A failure is for Lambda, which tries twice again and then keeps the event in the dead-letter queue. */
export const handler = async ({ Records: records }: S3Event): Promise<void> => {
  for (const { s3 } of records) {
    const key = keyOf(s3.object.key);
    const named = key.startsWith(keyPrefix) ? parseTagKey(key.slice(keyPrefix.length)) : undefined;
    // Whatever else lies beside a tag raises events too, not least what is written here.
    if (named) await registry.tagProjections.update(named.repository, named.tag);
  }
};

/** Events have keys as forms do. https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html */
function keyOf(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll('+', ' '));
}
