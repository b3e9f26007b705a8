import { openFiles } from '../storage/open.ts';
import { matrixSuite } from './matrix.ts';

matrixSuite('files', openFiles);
