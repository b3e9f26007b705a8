import type { Log } from '../../model/log.ts';
import type { Retention } from './retention.ts';

/** The caller of what a schedule deletes, in the audit log. No user can have this name, since it has a space. */
const SCHEDULE = 'the schedule';

/**
 * What a schedule runs before each collection: makes a plan by the rules, applies it, and deletes old plans. Without rules about
 * tags it makes none. Each deletion of a tag is audited. An error is logged, since a collection does not depend on it.
 */
export async function applyRetention(retention: Retention, log: Log): Promise<void> {
  try {
    if (retention.hasTagRules) {
      const { id, counts } = await retention.plan({ by: 'stowage' });
      const { applied } = await retention.apply(id, {
        by: 'stowage',
        onDeleted: (deleted) => log.audit({ ...deleted, who: SCHEDULE, action: 'delete', outcome: 'done' }),
      });
      log.info('retention', { plan: id, ...counts, deleted: applied?.done, skipped: applied?.skippedCount });
    } else await retention.forgetPulls();
    await retention.prune();
  } catch (error) {
    log.error('retention failed', { error });
  }
}
