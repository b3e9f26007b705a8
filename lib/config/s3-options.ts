import type { S3DriverOptions } from '../storage/s3-client.ts';
import type { Settings } from './settings.ts';

/** AWS host names of S3; before `s3_region` existed, a host named the region. */
const AWS_HOST = /^s3(?:[.-]([a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com(?:\.cn)?$/;

/** @throws ConfigError */
export function readS3Options(settings: Settings): S3DriverOptions {
  const bucket = settings.get('boto_bucket') ?? settings.get('s3_bucket');
  if (bucket === undefined) settings.missing('boto_bucket', 'allowed: the name of a bucket');
  const credentials = readCredentials(settings);
  const path = settings.get('storage_path', '/test');
  return {
    bucket,
    keyPrefix: keyPrefixOf(path),
    encrypt: settings.get('s3_encrypt'),
    ...(credentials && { credentials }),
    ...readAddress(settings),
  };
}

/**
 * Joins as boto did, so that keys of old buckets match: `/registry`, `registry` and `registry/` give `registry/`, `/` gives
 * the empty prefix, and `//x` gives `/x/`.
 */
export function keyPrefixOf(storagePath: string): string {
  const folder = storagePath.endsWith('/') ? storagePath : `${storagePath}/`;
  return folder.startsWith('/') ? folder.slice(1) : folder;
}

/** `undefined` without keys: the SDK then uses its provider chain (environment, shared files, role). */
function readCredentials(settings: Settings): S3DriverOptions['credentials'] {
  for (const name of ['s3_access_key', 's3_secret_key'] as const) {
    if (settings.isPlaceholder(name)) {
      settings.fail(
        name,
        "still holds the sample's REPLACEME; allowed: a key, or null for the keys of the environment",
      );
    }
  }
  const accessKeyId = settings.get('s3_access_key');
  const secretAccessKey = settings.get('s3_secret_key');
  if (accessKeyId !== undefined && secretAccessKey !== undefined) return { accessKeyId, secretAccessKey };
  if (accessKeyId !== undefined) {
    settings.missing('s3_secret_key', 's3_access_key is set; set both or none');
  }
  if (secretAccessKey !== undefined) {
    settings.missing('s3_access_key', 's3_secret_key is set; set both or none');
  }
  return undefined;
}

/** The endpoint of requests and the addressing style of the bucket. */
function readAddress(settings: Settings): Pick<S3DriverOptions, 'region' | 'endpoint' | 'useTls' | 'forcePathStyle'> {
  const useTls = settings.get('s3_secure');
  const host = settings.get('boto_host');
  const port = settings.get('boto_port');
  const format = settings.get('boto_calling_format');
  if (port !== undefined && host === undefined) settings.warn('boto_port', 'is ignored: it belongs to boto_host');
  if (format === 'VHostCallingFormat') {
    settings.warn('boto_calling_format', 'is treated as SubdomainCallingFormat: a bucket has no host of its own here');
  }

  const awsHost = host === undefined ? undefined : AWS_HOST.exec(host);
  const isUsualPort = port === undefined || port === (useTls ? 443 : 80);
  const region = settings.get('s3_region') ?? awsHost?.[1];
  const isElsewhere = host !== undefined && !(awsHost && isUsualPort);
  return {
    useTls,
    forcePathStyle: format === 'OrdinaryCallingFormat',
    ...(region !== undefined && { region }),
    ...(isElsewhere && { endpoint: `${useTls ? 'https' : 'http'}://${host}${isUsualPort ? '' : `:${port}`}` }),
  };
}
