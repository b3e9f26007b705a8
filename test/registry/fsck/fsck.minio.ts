import { openS3 } from '../../storage/open.ts';
import { fsckSuite } from './fsck.ts';
import { layoutsSuite } from './layouts.ts';

fsckSuite('s3', openS3);
layoutsSuite('s3', openS3);
