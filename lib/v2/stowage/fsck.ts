import { Hono } from 'hono';
import { SingleRun } from '../../concurrency/single-run.ts';
import { NOT_CACHED } from '../../http/error-response.ts';
import { nextLink, pageSizeOf } from '../../http/paging.ts';
import type { Finding } from '../../registry/fsck/findings.ts';
import type { FsckResult } from '../../registry/fsck/fsck.ts';
import type { OperationOptions } from './options.ts';
import { notHere } from './usage.ts';

/** Findings that are kept; the result counts all. */
const MAX_KEPT = 10_000;
const DEFAULT_PAGE = 100;
const MAX_PAGE = 1000;

/**
 * Checks of storage: `POST` starts one at level `structure`, one at a time, which repairs nothing, and answers with 202; `GET`
 * tells its state, with findings in pages by `n` and `last`.
 */
export const fsckRoutes = ({ registry: { fsck, runsInBackground }, gate }: OperationOptions) => {
  const runs = new SingleRun<FsckResult>();
  let findings: Finding[] = [];
  return new Hono()
    .get('/fsck', gate.allowOperation, (c) => {
      const size = Math.min(pageSizeOf(c) ?? DEFAULT_PAGE, MAX_PAGE);
      const start = Number(/^\d{1,6}$/.exec(c.req.query('last') ?? '')?.[0] ?? 0);
      const page = findings.slice(start, start + size);
      const end = start + page.length;
      if (page.length > 0 && end < findings.length) c.header('Link', nextLink('/v2/_stowage/fsck', String(end), size));
      return c.json({ run: runs.state, findings: page }, 200, NOT_CACHED);
    })
    .post('/fsck', gate.allowRun('fsck'), (c) => {
      if (!runsInBackground) throw notHere('stowage fsck');
      const isStarted = runs.start(() => {
        findings = [];
        return fsck.run({
          onFinding: (finding) => {
            if (findings.length < MAX_KEPT) findings.push(finding);
          },
        });
      });
      return c.json({ isStarted, run: runs.state }, 202);
    });
};
