import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { S3DriverOptions } from '../../lib/storage/s3-client.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';

/** A driver for a bucket of a server on this machine that plays S3. */
export function driverAt(server: Server, options: Partial<S3DriverOptions> = {}): S3Driver {
  return new S3Driver({
    bucket: 'bucket',
    keyPrefix: '',
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    forcePathStyle: true,
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
    ...options,
  });
}
