import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { CloudFormationCustomResourceEvent } from 'aws-lambda';
import { answerTo, handler } from '../../functions/start-check.ts';

describe('the check that a revision of the push endpoint starts', () => {
  let server: Server;
  let url: string;
  /** What `/readyz` answers in turn, the last one from then on. */
  let statuses: number[] = [];
  let asked = 0;
  const answers: { type: string | undefined; body: unknown }[] = [];

  before(async () => {
    server = createServer(async (request, response) => {
      if (request.url === '/readyz') {
        asked++;
        response.writeHead((statuses.length > 1 ? statuses.shift() : statuses[0]) ?? 500).end();
        return;
      }
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      answers.push({ type: request.headers['content-type'], body: JSON.parse(Buffer.concat(chunks).toString()) });
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  const event = (given: object): CloudFormationCustomResourceEvent =>
    ({
      RequestType: 'Create',
      ServiceToken: 'arn',
      ResourceType: 'Custom::StartedRevision',
      StackId: 'stack',
      RequestId: 'request',
      LogicalResourceId: 'Started',
      ResponseURL: `${url}/answer`,
      ResourceProperties: { ServiceToken: 'arn', Url: url, RevisionId: 'new' },
      ...given,
    }) as CloudFormationCustomResourceEvent;
  const patience = { patienceMs: 200, pauseMs: 10 };

  test('succeeds once the server is ready', async () => {
    statuses = [502, 503, 200];
    const answer = await answerTo(event({}), { ...patience, patienceMs: 30_000 });
    assert.partialDeepStrictEqual(answer, {
      Status: 'SUCCESS',
      PhysicalResourceId: 'new',
      Data: { RevisionId: 'new' },
    });
  });

  for (const [title, given] of [
    ['creation', { RequestType: 'Create' }],
    ['update', { RequestType: 'Update', PhysicalResourceId: 'old' }],
  ] as const) {
    test(`fails the ${title} if the server never is ready`, async () => {
      statuses = [502];
      const answer = await answerTo(event(given), patience);
      assert.equal(answer.Status, 'FAILED');
      assert.match(answer.Reason ?? '', /revision new .* does not start: .*readyz answers 502/);
      // Another id would have CloudFormation delete the old one.
      assert.equal(answer.PhysicalResourceId, 'PhysicalResourceId' in given ? 'old' : 'new');
    });
  }

  test('fails if there is no server', async () => {
    const ResourceProperties = { ServiceToken: 'arn', Url: 'http://127.0.0.1:1', RevisionId: 'new' };
    const answer = await answerTo(event({ ResourceProperties }), patience);
    assert.match(answer.Reason ?? '', /does not answer/);
  });

  for (const [title, given] of [
    ['a rollback', { RequestType: 'Update', PhysicalResourceId: 'new' }],
    ['a deletion', { RequestType: 'Delete', PhysicalResourceId: 'old' }],
  ] as const) {
    test(`does not stop ${title}`, async () => {
      statuses = [502];
      asked = 0;
      const answer = await answerTo(event(given), patience);
      assert.equal(answer.Status, 'SUCCESS');
      assert.equal(answer.PhysicalResourceId, given.PhysicalResourceId);
      assert.equal(asked, 0);
    });
  }

  test('answers CloudFormation by the signed URL', async () => {
    statuses = [200];
    await handler(event({}));
    const { type, body } = answers.at(-1) ?? assert.fail('no answer');
    assert.equal(type ?? '', '');
    assert.partialDeepStrictEqual(body, {
      Status: 'SUCCESS',
      StackId: 'stack',
      RequestId: 'request',
      LogicalResourceId: 'Started',
    });
  });
});
