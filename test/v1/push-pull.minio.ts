import { openS3 } from '../storage/open.ts';
import { v1PushPullSuite } from './push-pull.ts';

v1PushPullSuite('s3', openS3);
