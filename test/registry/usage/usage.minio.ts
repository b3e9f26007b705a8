import { openS3 } from '../../storage/open.ts';
import { usageSuite } from './usage.ts';

usageSuite('s3', openS3);
