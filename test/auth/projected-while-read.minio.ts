import { openS3 } from '../storage/open.ts';
import { projectedWhileReadSuite } from './projected-while-read.ts';

projectedWhileReadSuite('S3', openS3);
