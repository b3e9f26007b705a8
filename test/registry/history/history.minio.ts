import { openS3 } from '../../storage/open.ts';
import { movesSuite } from './moves.ts';

movesSuite('S3', openS3);
