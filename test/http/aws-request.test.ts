import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { AwsService } from '../../lib/http/aws-request.ts';

const ARN = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:users';

describe('a request to a service of AWS', () => {
  it('needs the ARN of a resource in a region', () => {
    for (const arn of ['', 'arn:aws:s3:::bucket', 'arn:aws:iam::123456789012:role/x', 'secretsmanager']) {
      assert.throws(() => new AwsService(arn, undefined), /is not the ARN/);
    }
    assert.ok(new AwsService(ARN.replace('aws', 'aws-cn'), undefined));
  });

  it('is signed for the service and region of the ARN, and gives the status and body', async () => {
    const seen: string[] = [];
    const server = createServer(({ headers }, response) => {
      seen.push(headers.authorization ?? '');
      response.writeHead(400).end('no such secret');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const before = { ...process.env };
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' });
    try {
      const answer = await new AwsService(ARN, `http://127.0.0.1:${port}`).post('/', '{}', {});
      assert.deepEqual(answer, { status: 400, body: 'no such secret' });
      assert.match(seen[0] ?? '', /Credential=id\/\d{8}\/eu-west-1\/secretsmanager\//);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await assert.rejects(new AwsService(ARN, `http://127.0.0.1:${port}`).post('/', '{}', {}), { name: 'Error' });
    } finally {
      for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
  });
});
