import type { S3DriverOptions } from './s3-client.ts';

/** Bucket names that make a host name, and mean a bucket of the usual kind in every context. */
const HOST_LABEL = /^(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])+$/;
const IN_PATH = /^[A-Za-z0-9](?:[._-]?[A-Za-z0-9])+$/;
/** The regions of the partition `aws`, whose domain is amazonaws.com. */
const REGION = /^(?:af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-\d$/;

/**
 * The URL that keys are appended to: `https://bucket.s3.eu-west-1.amazonaws.com/`. It is that of the SDK's endpoint rules, of which this
 * knows the usual cases.
 * @param hasChangedAddresses whether the environment may change the addresses of AWS's services
 * @returns undefined where the SDK has to find it: another partition, a special bucket or region, an IP address as host
 */
export function baseUrlOf(
  { bucket, endpoint, forcePathStyle = false, useTls = true }: S3DriverOptions,
  region: string,
  hasChangedAddresses: boolean,
): URL | undefined {
  if (hasChangedAddresses || !(forcePathStyle ? IN_PATH : HOST_LABEL).test(bucket)) return undefined;
  const server = endpoint === undefined ? serverOfRegion(region, useTls) : serverAt(endpoint);
  if (!server) return undefined;
  const path = server.pathname.endsWith('/') ? server.pathname : `${server.pathname}/`;
  if (forcePathStyle) return new URL(`${path}${bucket}/`, server);
  if (isIpAddress(server.hostname)) return undefined;
  return new URL(path, `${server.protocol}//${bucket}.${server.host}`);
}

function serverOfRegion(region: string, useTls: boolean): URL | undefined {
  return REGION.test(region) ? new URL(`${useTls ? 'https' : 'http'}://s3.${region}.amazonaws.com`) : undefined;
}

function serverAt(endpoint: string): URL | undefined {
  const url = URL.parse(endpoint);
  return url && url.search === '' && url.username === '' ? url : undefined;
}

function isIpAddress(host: string): boolean {
  return host.startsWith('[') || /^[\d.]+$/.test(host);
}
