import { openFiles } from '../storage/open.ts';
import { unpackingSuite } from './unpacking.ts';

unpackingSuite('files', openFiles);
