import { openFiles } from '../../storage/open.ts';
import { retentionSuite } from './plans.ts';

retentionSuite('files', openFiles);
