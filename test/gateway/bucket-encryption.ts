import { PutBucketEncryptionCommand, S3Client } from '@aws-sdk/client-s3';
import { isJsonObject, type JsonValue } from '../../lib/model/json.ts';
import { KMS_KEY, type Minio } from '../support/minio.ts';
import { objectOf, type Stack } from './template.ts';

/**
 * Encrypts what is stored as the template says, where that is with a key of the owner's. The one that MinIO has stands for it;
 * who may use it MinIO does not ask, so combinations.lambda.ts does.
 */
export async function encryptBucket({ resources }: Stack, minio: Minio): Promise<void> {
  const encryption = objectOf(resources.get('Bucket')?.properties.BucketEncryption ?? {}, 'BucketEncryption');
  const [rule] = listOf(encryption.ServerSideEncryptionConfiguration);
  const byDefault = isJsonObject(rule) ? objectOf(rule.ServerSideEncryptionByDefault ?? null, 'encryption') : {};
  if (byDefault.SSEAlgorithm !== 'aws:kms') return;
  if (!String(byDefault.KMSMasterKeyID).endsWith(`:key/${KMS_KEY}`)) throw new Error(`MinIO has no key but ${KMS_KEY}`);
  const { endpoint, credentials, bucket: Bucket, driverOptions } = minio;
  const region = driverOptions.region ?? '';
  const client = new S3Client({ endpoint, credentials, region, forcePathStyle: true });
  const ApplyServerSideEncryptionByDefault = { SSEAlgorithm: 'aws:kms' as const, KMSMasterKeyID: KMS_KEY };
  const ServerSideEncryptionConfiguration = { Rules: [{ ApplyServerSideEncryptionByDefault }] };
  await client.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration }));
  client.destroy();
}

function listOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}
