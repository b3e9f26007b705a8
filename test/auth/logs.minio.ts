import { openS3 } from '../storage/open.ts';
import { logSuite } from './logs.ts';

logSuite('S3', openS3);
