import { openFiles } from '../storage/open.ts';
import { v1TakenIdsSuite } from './taken-ids.ts';

v1TakenIdsSuite('files', openFiles);
