import { openS3 } from '../storage/open.ts';
import { secretRepositoryOnNode } from './secret-repository-on-node.ts';

secretRepositoryOnNode('S3', openS3);
