import { openS3 } from '../storage/open.ts';
import { unpackingSuite } from './unpacking.ts';

unpackingSuite('S3', openS3);
