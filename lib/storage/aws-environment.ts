// What the AWS SDK would find in the environment, without loading the SDK. Lambda has all of it there.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string };

/** Undefined where the SDK looks elsewhere: there are none in the environment, or it names a profile. */
export function credentialsOfEnvironment(env = process.env): Credentials | undefined {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  if (!accessKeyId || !secretAccessKey || env.AWS_PROFILE) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}

/** Settings that change the addresses of AWS's services. */
const ADDRESS_VARIABLES = [
  'AWS_PROFILE',
  'AWS_CONFIG_FILE',
  'AWS_USE_FIPS_ENDPOINT',
  'AWS_USE_DUALSTACK_ENDPOINT',
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_S3',
];

/**
 * Whether the environment, or a file of profiles, may change the addresses of AWS's services.
 * https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
 */
export function mayChangeAddresses(env = process.env): boolean {
  return ADDRESS_VARIABLES.some((name) => env[name]) || existsSync(join(homedir(), '.aws/config'));
}
