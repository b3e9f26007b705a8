import { openS3 } from '../storage/open.ts';
import { viewSuite } from './projections.ts';

viewSuite('s3', openS3);
