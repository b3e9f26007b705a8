import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it } from 'node:test';
import { layout } from '../../lib/model/layout.ts';
import { StorageUnavailableError } from '../../lib/storage/driver.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';

it('a listing that the server cuts, without saying where it goes on, is not taken for a whole one', async () => {
  const page = `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>true</IsTruncated><Contents>
    <Key>oci/data/a</Key><Size>1</Size><ETag>"a"</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified>
    </Contents></ListBucketResult>`;
  const server = createServer((_, response) => response.setHeader('Content-Type', 'application/xml').end(page));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const driver = new S3Driver({
    bucket: 'bucket',
    keyPrefix: '',
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${port}`,
    forcePathStyle: true,
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
  });
  try {
    await assert.rejects(Array.fromAsync(driver.list(layout.allData())), StorageUnavailableError);
  } finally {
    await driver.close();
    server.close();
    server.closeAllConnections();
  }
});
