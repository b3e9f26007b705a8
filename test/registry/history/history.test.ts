import { openFiles } from '../../storage/open.ts';
import { movesSuite } from './moves.ts';

movesSuite('files', openFiles);
