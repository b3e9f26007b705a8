// What S3 reports of single objects of one DeleteObjects request. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Key } from '../../lib/model/layout.ts';
import { StorageDeniedError } from '../../lib/storage/driver.ts';
import type { S3Driver } from '../../lib/storage/s3-driver.ts';
import { driverAt } from './driver-at.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

describe('objects that one request for many does not delete', () => {
  let requests: string[];
  let code: string;
  let answerDelete: Answer;
  const server = createServer(async (request, response) => {
    requests.push(`${request.method} ${request.url?.replace(/\?.*/, '')}`);
    for await (const _ of request);
    if (request.method === 'DELETE') return answerDelete(request, response);
    const error = `<Error><Key>below/b</Key><Code>${code}</Code><Message>try again</Message></Error>`;
    response.end(`<?xml version="1.0" encoding="UTF-8"?><DeleteResult>${error}</DeleteResult>`);
  });
  let driver: S3Driver;

  beforeEach(async () => {
    requests = [];
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    driver = driverAt(server, { keyPrefix: 'below/' });
  });
  afterEach(async () => {
    await driver.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('are deleted by requests of their own', async () => {
    code = 'InternalError';
    answerDelete = (_, response) => void response.writeHead(204).end();
    await driver.deleteMany(['a', 'b', 'c'] as Key[]);
    assert.deepEqual(requests, ['POST /bucket/', 'DELETE /bucket/below/b']);
  });

  it('that the role may not delete are reported as denied', async () => {
    code = 'AccessDenied';
    answerDelete = (_, response) =>
      void response.writeHead(403).end('<Error><Code>AccessDenied</Code><Message>no</Message></Error>');
    await assert.rejects(driver.deleteMany(['a', 'b'] as Key[]), StorageDeniedError);
  });
});
