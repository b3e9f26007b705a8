import { openS3 } from '../storage/open.ts';
import { v1TakenIdsSuite } from './taken-ids.ts';

v1TakenIdsSuite('S3', openS3);
