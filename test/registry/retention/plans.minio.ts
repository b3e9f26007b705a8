import { openS3 } from '../../storage/open.ts';
import { retentionSuite } from './plans.ts';

retentionSuite('MinIO', openS3);
