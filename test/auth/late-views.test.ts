import { openFiles } from '../storage/open.ts';
import { lateViewsSuite } from './late-views.ts';

lateViewsSuite('files', openFiles);
