// Writes and deletes that S3 does not execute after a moment of the caller's choice. S3 refuses a request whose signature is more than 15
// minutes old, so the request is signed with the date 15 minutes before that moment.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
import type { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { LimitedLook } from './driver.ts';

const VALID_MS = 15 * 60_000;

/** By how much later than now a request is to be signed, so that it expires with the look: a negative number of ms, or 0. */
export function signingDelayMs(look: LimitedLook): number {
  return Math.min(look.remainingMs, VALID_MS) - VALID_MS;
}

/** What the SDK's middleware for signatures reads. */
type SigningContext = { selectedHttpAuthScheme?: { httpAuthOption: { signingProperties?: { config?: object } } } };

/**
 * Every attempt of the command expires with the look.
 * @param clockOffset by how much the server's clock is ahead of this one, in milliseconds
 */
export function signToExpire(
  command: PutObjectCommand | DeleteObjectCommand,
  look: LimitedLook,
  clockOffset: () => number,
): void {
  const { middlewareStack } = command as PutObjectCommand; // the middleware depends on no field of either
  middlewareStack.add(
    (next, context) => async (args) => {
      const { selectedHttpAuthScheme: scheme }: SigningContext = context.__smithy_context ?? {};
      const properties = scheme?.httpAuthOption.signingProperties;
      if (!scheme || !properties?.config) throw new Error('this version of the AWS SDK signs in another way');
      // The SDK signs each attempt with the time of that moment and this offset, which only this command has.
      const config: object = Object.create(properties.config, {
        systemClockOffset: {
          get: () => clockOffset() + signingDelayMs(look),
          set: () => {}, // the SDK learns the offset from responses to other requests
        },
      });
      scheme.httpAuthOption = { ...scheme.httpAuthOption, signingProperties: { ...properties, config } };
      return await next(args);
    },
    { name: 'signToExpire', step: 'build' },
  );
}
