import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Key } from '../../../lib/model/layout.ts';
import { awsBucketOf } from '../../../lib/storage/aws-bucket.ts';
import { consoleLink } from '../../../lib/ui/html/console-link.ts';

const key = 'repositories/a/b%2Fc/tag_1+2' as Key;

describe('links to the console of S3', () => {
  it('name the bucket, the region and the whole key', () => {
    assert.equal(
      consoleLink({ bucket: 'images', keyPrefix: 'registry/', region: 'eu-west-1' }, key),
      'https://console.aws.amazon.com/s3/object/images?region=eu-west-1&prefix=registry%2Frepositories%2Fa%2Fb%252Fc%2Ftag_1%2B2',
    );
    assert.equal(
      consoleLink({ bucket: 'images', keyPrefix: '' }, 'oci/layout.json' as Key),
      'https://console.aws.amazon.com/s3/object/images?prefix=oci%2Flayout.json',
    );
  });

  it('lead to the console of the partition', () => {
    const hostOf = (region: string) => new URL(consoleLink({ bucket: 'images', keyPrefix: '', region }, key)).host;
    assert.equal(hostOf('cn-north-1'), 'console.amazonaws.cn');
    assert.equal(hostOf('us-gov-west-1'), 'console.amazonaws-us-gov.com');
  });

  it('are for buckets of AWS only', () => {
    const of = (endpoint?: string) =>
      awsBucketOf({ driver: 's3', options: { bucket: 'images', keyPrefix: '', ...(endpoint && { endpoint }) } })
        ?.bucket;
    assert.equal(of(), 'images');
    assert.equal(of('https://bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com'), 'images');
    assert.equal(of('http://127.0.0.1:9000'), undefined);
    assert.equal(of('https://amazonaws.com.evil.example'), undefined);
    assert.equal(awsBucketOf({ driver: 'local', path: '/srv/data' }), undefined);
  });
});
