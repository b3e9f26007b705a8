import { openFiles } from '../storage/open.ts';
import { v1LargeLayerSuite } from './large-layer.ts';

v1LargeLayerSuite('files', openFiles, { layerMib: 256 });
