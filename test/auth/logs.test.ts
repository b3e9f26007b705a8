import { openFiles } from '../storage/open.ts';
import { logSuite } from './logs.ts';

logSuite('files', openFiles);
