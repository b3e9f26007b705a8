import { openFiles } from '../storage/open.ts';
import { projectedWhileReadSuite } from './projected-while-read.ts';

projectedWhileReadSuite('files', openFiles);
