import { imagesSuite } from './images.ts';
import { onMemoryAndFiles } from './open.ts';

onMemoryAndFiles(imagesSuite);
