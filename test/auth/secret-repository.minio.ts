import { openS3 } from '../storage/open.ts';
import { secretRepositorySuite } from './secret-repository.ts';

secretRepositorySuite('S3', openS3);
