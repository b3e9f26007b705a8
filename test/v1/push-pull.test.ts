import { openFiles } from '../storage/open.ts';
import { v1PushPullSuite } from './push-pull.ts';

v1PushPullSuite('files', openFiles);
