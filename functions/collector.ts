// The schedule of garbage collection: the retention rules, then the collector, then usage. Lambda ends an invocation after 15
// minutes, so the function invokes itself for what is left to do.
import type { Context } from 'aws-lambda';
import { aroundCollection } from '../lib/server/around-collection.ts';
import { loggedStart } from '../lib/server/collect-regularly.ts';
import { openRegistry } from '../lib/server/open-registry.ts';
import { readConfiguration } from './configuration.ts';
import { invokeFunction } from './invoke-function.ts';

/** An event of the schedule, or of an operator, has no step. */
export type CollectorEvent = { step?: 'collect' | 'count usage' };

/** The collector stops so long before Lambda would end the invocation. A checkpoint may take a minute. */
const STOP_BEFORE_END_MS = 2 * 60_000;

const { config, log } = await readConfiguration();
const { registry, isReadOnly } = await openRegistry(config, { log });
const start = loggedStart(registry.collections, log);
const around = aroundCollection(registry, log);

export const handler = async (
  { step }: CollectorEvent,
  { getRemainingTimeInMillis, invokedFunctionArn }: Pick<Context, 'getRemainingTimeInMillis' | 'invokedFunctionArn'>,
): Promise<void> => {
  if (isReadOnly) throw new Error('a newer version of Stowage writes to this bucket: nothing is collected');
  if (step === 'count usage') return await around.after();
  if (step === undefined) await around.before();
  const signal = AbortSignal.timeout(Math.max(0, getRemainingTimeInMillis() - STOP_BEFORE_END_MS));
  const outcome = await start({ signal })?.outcome;
  if (outcome?.kind === 'interrupted') await goOn({ step: 'collect' });
  if (outcome?.kind === 'complete') await goOn({ step: 'count usage' });

  async function goOn(event: CollectorEvent): Promise<void> {
    await invokeFunction(invokedFunctionArn, event);
  }
};
