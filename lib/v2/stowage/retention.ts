import { type Context, Hono } from 'hono';
import { callerNameOf } from '../../auth/request-caller.ts';
import { NOT_CACHED } from '../../http/error-response.ts';
import { nextLink, pageSizeOf } from '../../http/paging.ts';
import type { DeletedTag, PlannedTag } from '../../registry/retention/plan-record.ts';
import type { StowageOptions } from './options.ts';

const DEFAULT_PAGE = 1000;
const MAX_PAGE = 10_000;

const PLANS = '/retention/plans';
const PLAN = '/retention/plans/:id';

/**
 * Plans of the retention rules, for operators: `POST` makes one, `GET` lists all; of one plan `GET` shows the record, with its
 * tags in pages by `n` and `last`, and `POST` to `apply` and `undo` carries it out and takes it back. Each `POST` answers once it
 * is done; after a broken connection or a timeout, the same `apply` or `undo` goes on.
 */
export const retentionRoutes = ({ registry: { retention }, gate }: StowageOptions) =>
  new Hono()
    .get(PLANS, gate.allowOperation, async (c) => c.json({ plans: await retention.plans.list() }, 200, NOT_CACHED))
    .post(PLANS, gate.allowRun('retention plan'), async (c) => {
      const record = await retention.plan({ by: callerNameOf(c) });
      return c.json(record, 201, { Location: `/v2/_stowage${PLANS}/${record.id}` });
    })
    .get(PLAN, gate.allowOperation, async (c) => {
      const { record } = await retention.plans.read(c.req.param('id'));
      const size = Math.min(pageSizeOf(c) ?? DEFAULT_PAGE, MAX_PAGE);
      const start = Number(/^\d{1,9}$/.exec(c.req.query('last') ?? '')?.[0] ?? 0);
      const { tags, isLast } = await pageOf(record.finishedAt === undefined ? none() : retention.plans.tagsOf(record), {
        start,
        size,
      });
      const end = String(start + tags.length);
      if (!isLast) c.header('Link', nextLink(`/v2/_stowage${PLANS}/${record.id}`, end, size));
      return c.json({ ...record, tags }, 200, NOT_CACHED);
    })
    .post(`${PLAN}/apply`, gate.allowRun('retention apply'), async (c) => {
      const onDeleted = (deleted: DeletedTag) => gate.auditDeletion(c, deleted);
      return c.json(await retention.apply(idOf(c), { ...by(c), onDeleted }));
    })
    .post(`${PLAN}/undo`, gate.allowRun('retention undo'), async (c) => c.json(await retention.undo(idOf(c), by(c))));

const idOf = (c: Context): string => c.req.param('id') ?? '';
const by = (c: Context) => ({ by: callerNameOf(c) });

async function* none(): AsyncGenerator<PlannedTag> {}

async function pageOf(
  all: AsyncIterable<PlannedTag>,
  { start, size }: { start: number; size: number },
): Promise<{ tags: PlannedTag[]; isLast: boolean }> {
  const tags: PlannedTag[] = [];
  let position = 0;
  if (size === 0) return { tags, isLast: true };
  for await (const planned of all) {
    position++;
    if (position <= start) continue;
    if (tags.length === size) return { tags, isLast: false };
    tags.push(planned);
  }
  return { tags, isLast: true };
}
