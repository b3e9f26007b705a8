import { openS3 } from '../storage/open.ts';
import { viewSuite } from './views.ts';

viewSuite('s3', openS3);
