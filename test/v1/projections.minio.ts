import { openS3 } from '../storage/open.ts';
import { projectionSuite } from './projections.ts';

projectionSuite('s3', openS3);
