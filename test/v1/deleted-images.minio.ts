import { openS3 } from '../storage/open.ts';
import { v1DeletedImagesSuite } from './deleted-images.ts';

v1DeletedImagesSuite('S3', openS3);
