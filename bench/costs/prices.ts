// What AWS asks for in us-east-1, in dollars, each with where and when it was read. The first tier counts.

export type Price = { dollars: number; per: string; source: string };

export const PRICES = {
  gatewayMillion: {
    dollars: 3.5,
    per: 'million requests to a REST API',
    source:
      'go-cloud.io/aws-api-gateway-pricing, 2026; AWS whitepaper "Best Practices for Designing Amazon API Gateway Private APIs"',
  },
  lambdaMillion: { dollars: 0.2, per: 'million calls of Lambda', source: 'go-cloud.io/aws-lambda-pricing, 2026' },
  lambdaGigabyteSecond: {
    dollars: 0.0000133334,
    per: 'GB-second of Lambda on arm64',
    source: 'cloudchipr.com/blog/aws-lambda-pricing, 2024',
  },
  s3WriteThousand: {
    dollars: 0.005,
    per: 'thousand PUT, POST, COPY or LIST requests to S3',
    source: 'devnotes.tech/understanding-aws-s3-pricing…, read 2026-11-24',
  },
  s3ReadThousand: {
    dollars: 0.0004,
    per: 'thousand GET or HEAD requests to S3',
    source: 'devnotes.tech/understanding-aws-s3-pricing…, read 2026-11-24',
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
  secretMonth: { dollars: 0.4, per: 'secret and month', source: 'no page that was read: unproven' },
  alarmMonth: { dollars: 0.1, per: 'alarm and month', source: 'no page that was read: unproven' },
} satisfies Record<string, Price>;
