import { BytesStage } from './bytes-stage.ts';
import { DataStage, ScrapsStage } from './data-stage.ts';
import type { V1ImagesPolicy } from './image-reasons.ts';
import { ImagesStage } from './images-stage.ts';
import { RepositoriesStage, type RepositoriesStageOptions } from './repositories-stage.ts';
import type { Stage } from './stage.ts';
import { V1ListsStage } from './v1-lists-stage.ts';

export type CollectorStagesOptions = RepositoriesStageOptions & { v1Images?: V1ImagesPolicy };

/** The stages of a run, in order: what names bytes goes before the bytes. */
export function collectorStages(options: CollectorStagesOptions): Stage[] {
  return [
    new RepositoriesStage(options),
    new ImagesStage(options),
    new V1ListsStage(),
    new BytesStage(),
    new DataStage(),
    new ScrapsStage(),
  ];
}
