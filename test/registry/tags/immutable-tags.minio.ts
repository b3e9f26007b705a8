import { openS3 } from '../../storage/open.ts';
import { immutableTagsSuite } from './immutable-tags.ts';

immutableTagsSuite('S3', openS3);
