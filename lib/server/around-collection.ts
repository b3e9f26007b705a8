import type { Log } from '../model/log.ts';
import type { Registry } from '../registry/registry.ts';
import { applyRetention } from '../registry/retention/apply-retention.ts';

/** What a schedule does before and after a collection. Neither throws: what fails is logged, and done by the next run. */
export type AroundCollection = { before(): Promise<void>; after(): Promise<void> };

/** The retention rules delete tags before the collector looks for what no tag names, and usage is counted once it is done. */
export function aroundCollection({ retention, usage }: Registry, log: Log): AroundCollection {
  return {
    before: () => applyRetention(retention, log),
    async after() {
      try {
        await usage.run();
      } catch (error) {
        log.warning('usage could not be counted', { error });
      }
    },
  };
}
