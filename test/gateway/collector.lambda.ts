// The collector as the built stack runs it: started by its schedule or an operator, with the rights of its role.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { recordLayout } from '../../lib/registry/condemned/layout-record.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { BASIC, type Deployment, deploy } from './deployment.ts';
import type { LambdaFunction } from './lambda-function.ts';
import { objectOf } from './template.ts';

type State = { current: object | null; last: { run: string; report: { kept: Record<string, number> } } | null };

describe('the collector of the stack', () => {
  let deployment: Deployment;
  let collector: LambdaFunction;
  let client: V2Client;

  before(async () => {
    deployment = await deploy({ parameters: { PushEndpoint: 'none' } });
    collector = deployment.functions.get('Collector') ?? assert.fail('there is no Collector');
    // A bucket that was written to before this record was made is not collected for a day: older writers may still be at work.
    const storage = new S3Driver({ ...deployment.minio.driverOptions, keyPrefix: 'registry/' });
    await recordLayout(storage);
    await storage.close();
    client = new V2Client(deployment.gateway.url, { Authorization: `Basic ${BASIC}` });
    await pushImage(client, 'team/app', 'latest', { contents: ['a layer'] });
    await deployment.events.idle();
  });
  after(() => deployment?.stop());

  const state = async () => (await (await client.send('GET', '/v2/_stowage/gc')).json()) as State;

  it('is called by a schedule, once a day by default', () => {
    const { Events = null } = deployment.stack.resources.get('Collector')?.properties ?? {};
    const schedule = objectOf(objectOf(Events, 'Events').Schedule ?? null, 'Schedule');
    assert.equal(schedule.Type, 'ScheduleV2');
    const { ScheduleExpression, State: isEnabled } = objectOf(schedule.Properties ?? null, 'Properties');
    assert.deepEqual([ScheduleExpression, isEnabled], ['rate(1 day)', 'ENABLED']);
  });

  it('collects, and then counts usage in an invocation of its own', async () => {
    await collector.invoke({});
    await deployment.lambda.idle();
    assert.deepEqual(deployment.lambda.errors, []);
    assert.equal(collector.calls, 2);
    const { current, last } = await state();
    assert.equal(current, null);
    assert.equal(last?.report.kept['manifest: a tag names it'], 1);
    const usage = await client.send('GET', '/v2/_stowage/usage');
    assert.equal(usage.status, 200);
    assert.ok(JSON.stringify(await usage.json()).includes('team/app'));
  });

  it('stops before its time is over, and invokes itself to go on', async () => {
    const before = await state();
    const { timeoutSeconds } = collector;
    collector.timeoutSeconds = 100;
    const fresh = collector.calls;
    const first = collector.invoke({});
    await immediate(); // the first invocation has begun
    collector.timeoutSeconds = timeoutSeconds;
    await first;
    await deployment.lambda.idle();
    assert.deepEqual(deployment.lambda.errors, []);
    assert.equal(collector.calls - fresh, 3);
    const { last } = await state();
    assert.notEqual(last?.run, before.last?.run);
  });

  it('is started by an operator', async () => {
    const fresh = collector.calls;
    const response = await client.send('POST', '/v2/_stowage/gc');
    assert.equal(response.status, 202);
    await deployment.lambda.idle();
    assert.deepEqual(deployment.lambda.errors, []);
    assert.equal(collector.calls - fresh, 2);
  });

  it('tries nothing out behind the gateway, and names the command that does', async () => {
    const response = await client.send('POST', '/v2/_stowage/gc?dry_run=1');
    assert.equal(response.status, 405);
    assert.match(await response.text(), /stowage gc/);
  });
});
