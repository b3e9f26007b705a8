import { openS3 } from '../storage/open.ts';
import { lateViewsSuite } from './late-views.ts';

lateViewsSuite('S3', openS3);
