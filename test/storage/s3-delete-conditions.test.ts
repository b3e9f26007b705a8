import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DeleteObjectCommand, type S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { StorageUnavailableError } from '../../lib/storage/driver.ts';
import { deleteObject, probeDeleteConditions } from '../../lib/storage/s3-delete-conditions.ts';

const refusal = (name: string, httpStatusCode: number) =>
  new S3ServiceException({ name, $fault: 'client', $metadata: { httpStatusCode } });

const ETAG = '"etag"';
const ADDRESS = { Bucket: 'bucket', Key: 'key' };

/** A client of a server that answers deletes like this. @param ifMatch undefined without a condition */
function clientOf(onDelete: (ifMatch: string | undefined) => void, onPut: () => void = () => undefined) {
  const deletes: (string | undefined)[] = [];
  const send = async (command: unknown) => {
    if (!(command instanceof DeleteObjectCommand)) {
      onPut();
      return { ETag: ETAG };
    }
    deletes.push(command.input.IfMatch);
    onDelete(command.input.IfMatch);
    return {};
  };
  return { client: { send } as unknown as S3Client, deletes };
}

describe('conditions of deletes', () => {
  const probed = async (onDelete: (ifMatch: string | undefined) => void, onPut?: () => void) => {
    const { client, deletes } = clientOf(onDelete, onPut);
    return [await probeDeleteConditions(client, (Key) => ({ Bucket: 'bucket', Key })), deletes.length];
  };

  it('are honored where a wrong ETag is refused and the right one is not', async () => {
    const honors = (ifMatch: string | undefined) => {
      if (ifMatch !== ETAG) throw refusal('PreconditionFailed', 412);
    };
    assert.deepEqual(await probed(honors), ['honored', 2]);
  });

  it('are ignored where a wrong ETag deletes, or is not understood; the object is deleted all the same', async () => {
    assert.deepEqual(await probed(() => undefined), ['ignored', 2]);
    const unknowing = (ifMatch: string | undefined) => {
      if (ifMatch !== undefined) throw refusal('NotImplemented', 501);
    };
    assert.deepEqual(await probed(unknowing), ['ignored', 2]);
  });

  it('are unknown where the probe is denied, and not probed where the server does not answer', async () => {
    const denied = () => {
      throw refusal('AccessDenied', 403);
    };
    assert.deepEqual(await probed(() => undefined, denied), ['unknown', 0]);
    const busy = () => {
      throw refusal('SlowDown', 503);
    };
    await assert.rejects(
      probed(() => undefined, busy),
      StorageUnavailableError,
    );
  });

  it('tell an object that has changed from one that is gone', async () => {
    const outcome = async (error: Error | undefined, ifMatch?: string) => {
      const { client } = clientOf(() => {
        if (error) throw error;
      });
      return await deleteObject(client, ADDRESS, ifMatch);
    };
    assert.equal(await outcome(undefined), 'deleted');
    assert.equal(await outcome(refusal('NoSuchKey', 404), ETAG), 'deleted');
    assert.equal(await outcome(refusal('PreconditionFailed', 412), ETAG), 'changed');
    assert.equal(await outcome(refusal('ConditionalRequestConflict', 409), ETAG), 'changed');
    assert.equal(await outcome(refusal('NotImplemented', 501), ETAG), 'not understood');
    await assert.rejects(outcome(refusal('NotImplemented', 501)), /DELETE key/);
    await assert.rejects(outcome(refusal('PreconditionFailed', 412)), /DELETE key/);
  });
});
