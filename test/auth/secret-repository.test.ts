import { openFiles } from '../storage/open.ts';
import { secretRepositoryOnNode } from './secret-repository-on-node.ts';

secretRepositoryOnNode('files', openFiles);
