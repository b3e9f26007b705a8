import { type StorageConfig, s3OptionsOf } from './open.ts';

/** A bucket of AWS itself. `region` is absent where the configuration leaves it to the SDK. */
export type AwsBucket = { bucket: string; keyPrefix: string; region?: string };

/** The bucket that holds the objects; undefined for a directory, and for another S3 server. */
export function awsBucketOf(config: StorageConfig): AwsBucket | undefined {
  const options = s3OptionsOf(config);
  if (!options || !isOfAws(options.endpoint)) return undefined;
  const { bucket, keyPrefix, region } = options;
  return { bucket, keyPrefix, ...(region !== undefined && { region }) };
}

/** Endpoints of AWS are needed within a VPC. https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html */
function isOfAws(endpoint: string | undefined): boolean {
  return endpoint === undefined || /\.amazonaws\.com(?:\.cn)?$/.test(new URL(endpoint).hostname);
}
