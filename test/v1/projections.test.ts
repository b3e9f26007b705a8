import { openFiles } from '../storage/open.ts';
import { viewSuite } from './projections.ts';

viewSuite('files', openFiles);
