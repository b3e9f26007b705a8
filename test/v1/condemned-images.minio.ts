import { openS3 } from '../storage/open.ts';
import { v1CondemnedImagesSuite } from './condemned-images.ts';

v1CondemnedImagesSuite('s3', openS3);
