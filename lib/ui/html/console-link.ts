import type { Key } from '../../model/layout.ts';
import type { AwsBucket } from '../../storage/aws-bucket.ts';

/** The page of an object in the console of S3. Without a region the console finds the bucket's. */
export function consoleLink({ bucket, keyPrefix, region }: AwsBucket, key: Key): string {
  const query = new URLSearchParams({ ...(region !== undefined && { region }), prefix: keyPrefix + key });
  return `https://${consoleOf(region)}/s3/object/${encodeURIComponent(bucket)}?${query}`;
}

/** Each partition of AWS has a console of its own. https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html */
function consoleOf(region = ''): string {
  if (region.startsWith('cn-')) return 'console.amazonaws.cn';
  return region.startsWith('us-gov-') ? 'console.amazonaws-us-gov.com' : 'console.aws.amazon.com';
}
