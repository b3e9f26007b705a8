import { openFiles } from '../storage/open.ts';
import { v2Suite } from './suite.ts';

v2Suite('files', openFiles);
