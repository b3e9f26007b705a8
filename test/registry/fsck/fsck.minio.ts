import { openS3 } from '../../storage/open.ts';
import { fsckSuite } from './fsck.ts';

fsckSuite('s3', openS3);
