import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { S3ServiceException } from '@aws-sdk/client-s3';
import { StorageDeniedError, StorageFullError, StorageUnavailableError } from '../../lib/storage/driver.ts';
import {
  answerOf,
  answerUnless,
  asStorageError,
  isAbsent,
  isConditionFailed,
  isConflict,
  wasRetried,
} from '../../lib/storage/s3-errors.ts';

const refusal = (name: string, httpStatusCode: number, attempts = 1) =>
  new S3ServiceException({ name, $fault: 'client', $metadata: { httpStatusCode, attempts } });
const unreachable = (code: string) => Object.assign(new Error('no answer'), { code });

describe('an error of S3', () => {
  for (const [error, kind] of [
    [refusal('SlowDown', 503), StorageUnavailableError],
    [refusal('InternalError', 500), StorageUnavailableError],
    [refusal('TooManyRequests', 429), StorageUnavailableError],
    [refusal('RequestTimeTooSkewed', 403), StorageUnavailableError],
    [unreachable('ECONNREFUSED'), StorageUnavailableError],
    [unreachable('ENOTFOUND'), StorageUnavailableError],
    [Object.assign(new Error('slow'), { name: 'TimeoutError' }), StorageUnavailableError],
    [refusal('AccessDenied', 403), StorageDeniedError],
    [refusal('XMinioStorageFull', 507), StorageFullError],
    [refusal('QuotaExceeded', 403), StorageFullError],
    [refusal('Unknown', 507), StorageFullError],
    [refusal('InvalidArgument', 400), Error],
    [new Error('a mistake'), Error],
    ['a text', Error],
  ] as const) {
    it(`${error instanceof Error ? `${error.name} ${'code' in error ? error.code : ''}` : error} is a ${kind.name}`, async () => {
      const made = asStorageError('HEAD a/b', error);
      assert.equal(made.constructor, kind);
      assert.match(made.message, /^HEAD a\/b/);
      assert.equal(made.cause, error);
      await assert.rejects(answerOf('HEAD a/b', Promise.reject(error)), kind);
    });
  }

  it('that is expected is no answer, another one is thrown', async () => {
    const absent = refusal('NoSuchKey', 404);
    assert.equal(await answerUnless(isAbsent, 'GET a', Promise.reject(absent)), undefined);
    assert.equal(await answerUnless(isAbsent, 'GET a', Promise.resolve(1)), 1);
    await assert.rejects(
      answerUnless(isAbsent, 'GET a', Promise.reject(refusal('AccessDenied', 403))),
      StorageDeniedError,
    );
  });

  it('tells a condition that failed from one that could not be decided, and an attempt that was repeated', () => {
    assert.ok(isConditionFailed(refusal('PreconditionFailed', 412)));
    assert.ok(isConditionFailed(refusal('NoSuchKey', 404)));
    assert.ok(!isConditionFailed(refusal('AccessDenied', 403)));
    assert.ok(isConflict(refusal('ConditionalRequestConflict', 409)));
    assert.ok(isConflict(refusal('OperationAborted', 409)));
    assert.ok(!isConflict(new Error('other')));
    assert.ok(wasRetried(refusal('PreconditionFailed', 412, 2)));
    assert.ok(!wasRetried(refusal('PreconditionFailed', 412)));
    assert.ok(!wasRetried(new Error('without metadata')));
  });
});
