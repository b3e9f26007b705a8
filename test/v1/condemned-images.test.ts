import { openFiles } from '../storage/open.ts';
import { v1CondemnedImagesSuite } from './condemned-images.ts';

v1CondemnedImagesSuite('files', openFiles);
