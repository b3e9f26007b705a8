import { openFiles } from '../storage/open.ts';
import { viewSuite } from './views.ts';

viewSuite('files', openFiles);
