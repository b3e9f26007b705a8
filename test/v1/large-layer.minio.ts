import { openS3 } from '../storage/open.ts';
import { v1LargeLayerSuite } from './large-layer.ts';

v1LargeLayerSuite('S3', openS3, { layerMib: 512 });
