// Stands in for `@aws-sdk/credential-provider-node` in the bundles of Lambda functions that take events, which find their
// credentials in the environment; all other places where that package looks, and the four clients of AWS with which it does,
// stay out.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env';
