import { openS3 } from '../storage/open.ts';
import { v2Suite } from './suite.ts';

v2Suite('s3', openS3);
