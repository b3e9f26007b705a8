// AWS prices in us-east-1, in dollars, each with its source and the day it was read. Of tiered prices the first tier.

export type Price = { dollars: number; per: string; source: string };

/** Quotes the AWS page verbatim, as of that day. */
const SECRETS_MANAGER =
  'github.com/api-evangelist/amazon-secrets-manager, plans/amazon-secrets-manager-plans-pricing.yml, 2026-09-20';

export const PRICES = {
  gatewayMillion: {
    dollars: 3.5,
    per: 'million requests to a REST API',
    source:
      'docs.aws.amazon.com/whitepapers/latest/best-practices-api-gateway-private-apis-integration/cost-optimization.html, read 2026-11-24',
  },
  lambdaMillion: {
    dollars: 0.2,
    per: 'million calls of Lambda',
    source: 'git.mcrn.ar/mariano/lambda_local_runner, docs/lambdas-md/lambda-13-cost.md, 2026-05-11',
  },
  lambdaGigabyteSecond: {
    dollars: 0.0000133334,
    per: 'GB-second of Lambda on arm64',
    source: 'git.mcrn.ar/mariano/lambda_local_runner, docs/lambdas-md/lambda-13-cost.md, 2026-05-11',
  },
  s3WriteThousand: {
    dollars: 0.005,
    per: 'thousand PUT, COPY or POST requests to S3; LIST is counted as one',
    source: 'devnotes.tech/understanding-aws-s3-pricing-a-complete-cost-breakdown-with-examples, read 2026-11-24',
  },
  s3ReadThousand: {
    dollars: 0.0004,
    per: 'thousand GET or HEAD requests to S3',
    source: 'devnotes.tech/understanding-aws-s3-pricing-a-complete-cost-breakdown-with-examples, read 2026-11-24',
  },
  s3GigabyteMonth: {
    dollars: 0.023,
    per: 'GB-month in S3',
    source: 'devnotes.tech and deepeshsoni.com, read 2026-11-24',
  },
  ecrGigabyteMonth: {
    dollars: 0.1,
    per: 'GB-month in ECR',
    source: 'cloudburn.io/blog/amazon-ecr-pricing, March 2026',
  },
  egressGigabyte: {
    dollars: 0.09,
    per: 'GB to the internet, from S3 and ECR alike; within the region nothing',
    source: 'cloudburn.io/blog/amazon-ecr-pricing, March 2026',
  },
  secretMonth: { dollars: 0.4, per: 'secret and month', source: SECRETS_MANAGER },
  secretReadTenThousand: { dollars: 0.05, per: 'ten thousand reads of secrets', source: SECRETS_MANAGER },
  alarmMonth: {
    dollars: 0.1,
    per: 'metric of an alarm and month',
    source: 'c3x.dev/resources/aws/aws_cloudwatch_metric_alarm, read 2026-11-24; api-evangelist/cloudwatch, 2026-05-05',
  },
} satisfies Record<string, Price>;
