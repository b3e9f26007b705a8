import { openS3 } from '../storage/open.ts';
import { preconditionsSuite } from './preconditions.ts';

preconditionsSuite('S3', openS3);
