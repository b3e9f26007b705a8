import { openFiles } from '../storage/open.ts';
import { preconditionsSuite } from './preconditions.ts';

preconditionsSuite('files', openFiles);
