// The addresses that are formed without the SDK are those of the SDK.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { baseUrlOf } from '../../lib/storage/s3-address.ts';

const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };

type Case = { bucket?: string; region?: string; endpoint?: string; forcePathStyle?: boolean };

async function baseUrlOfSdk({ bucket = 'my-images', region = 'eu-west-1', ...options }: Case): Promise<string> {
  const client = new S3Client({ region, credentials, ...options });
  const url = await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: 'key' }));
  client.destroy();
  return new URL('.', url).href;
}

const ownBaseUrl = ({ bucket = 'my-images', region = 'eu-west-1', ...options }: Case) =>
  baseUrlOf({ bucket, keyPrefix: '', ...options }, region, false)?.href;

describe('the address of a bucket', () => {
  const known: Case[] = [
    {},
    { region: 'us-east-1' },
    { region: 'ap-southeast-2' },
    { forcePathStyle: true },
    { bucket: 'images.example.com', forcePathStyle: true },
    { bucket: 'Old_Bucket', forcePathStyle: true },
    { endpoint: 'http://127.0.0.1:9000', forcePathStyle: true },
    { endpoint: 'http://[::1]:9000', forcePathStyle: true },
    { endpoint: 'https://s3.example.com', forcePathStyle: true },
    { endpoint: 'https://s3.example.com/below/here/', forcePathStyle: true },
    { endpoint: 'https://s3.example.com:8443' },
    { endpoint: 'http://minio:9000' },
  ];
  for (const options of known) {
    it(`is the SDK's with ${JSON.stringify(options)}`, async () => {
      assert.equal(ownBaseUrl(options), await baseUrlOfSdk(options));
    });
  }

  const special: Case[] = [
    { bucket: 'images.example.com' },
    { bucket: 'Old_Bucket' },
    { bucket: 'ab' },
    { bucket: 'images--use1-az4--x-s3' },
    { bucket: 'arn:aws:s3:eu-west-1:123456789012:accesspoint/images' },
    { region: 'cn-north-1' },
    { region: 'us-gov-west-1' },
    { region: 'fips-us-east-1' },
    { endpoint: 'http://127.0.0.1:9000' },
    { endpoint: 'not a URL' },
  ];
  for (const options of special) {
    it(`is left to the SDK with ${JSON.stringify(options)}`, () => {
      assert.equal(ownBaseUrl(options), undefined);
    });
  }

  it('is left to the SDK where the environment may change it', () => {
    assert.equal(baseUrlOf({ bucket: 'my-images', keyPrefix: '' }, 'eu-west-1', true), undefined);
  });
});
