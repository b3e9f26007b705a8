import { openFiles } from '../../storage/open.ts';
import { fsckSuite } from './fsck.ts';

fsckSuite('files', openFiles);
