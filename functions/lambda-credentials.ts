// Replaces `@aws-sdk/credential-provider-node` in the bundles of Lambda functions that take events. They get credentials
// from the environment, so the other sources, and the four AWS clients that those use, are left out.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env';
