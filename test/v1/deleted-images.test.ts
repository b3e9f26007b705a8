import { openFiles } from '../storage/open.ts';
import { v1DeletedImagesSuite } from './deleted-images.ts';

v1DeletedImagesSuite('files', openFiles);
