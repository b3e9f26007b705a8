import { openS3 } from '../storage/open.ts';
import { serveOldBucketSuite } from './serve.ts';

serveOldBucketSuite('S3', openS3);
