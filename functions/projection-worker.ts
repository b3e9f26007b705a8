// Updates what depends on a tag after each change of its object: projection, tag metadata, index images, facts of the manifest.
import type { S3Event } from 'aws-lambda';
import { parseTagKey } from '../lib/model/layout.ts';
import { openRegistry } from '../lib/server/open-registry.ts';
import { s3OptionsOf } from '../lib/storage/open.ts';
import { readConfiguration } from './configuration.ts';

const { config, log } = await readConfiguration();
const bucket = s3OptionsOf(config.storage);
if (!bucket) throw new Error('the projection worker needs storage: s3');
const { registry } = await openRegistry(config, { log });

/** On an error Lambda retries the event twice, then keeps it in the dead-letter queue. */
export const handler = async ({ Records: records }: S3Event): Promise<void> => {
  for (const { s3, eventName } of records) {
    const key = keyOf(s3.object.key);
    const named = key.startsWith(bucket.keyPrefix) ? parseTagKey(key.slice(bucket.keyPrefix.length)) : undefined;
    // Other objects beside a tag raise events too, including those that this function writes.
    if (!named) continue;
    const { repository, tag } = named;
    if (eventName.includes('ObjectRemoved:')) {
      await registry.tagProjections.updateDeleted(repository, tag);
      continue;
    }
    await registry.tagProjections.update(repository, tag);
    const tagged = await registry.tags.find(repository, tag);
    if (tagged) await registry.facts.find(repository, tagged.target.digest);
  }
};

/** Keys in events are encoded as form data. https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html */
function keyOf(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll('+', ' '));
}
