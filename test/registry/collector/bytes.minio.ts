import { bytesSuite } from './bytes.ts';
import { onMinio } from './open.ts';

onMinio(bytesSuite);
