import { bytesSuite } from './bytes.ts';
import { onMemoryAndFiles } from './open.ts';

onMemoryAndFiles(bytesSuite);
