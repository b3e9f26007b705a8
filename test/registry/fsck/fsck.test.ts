import { openFiles } from '../../storage/open.ts';
import { fsckSuite } from './fsck.ts';
import { layoutsSuite } from './layouts.ts';

fsckSuite('files', openFiles);
layoutsSuite('files', openFiles);
