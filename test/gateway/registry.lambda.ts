import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { type Deployment, deploy, PASSWORD, USER } from './deployment.ts';

const BASIC = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;

describe('the built stack behind the gateway', () => {
  let deployment: Deployment;
  let client: V2Client;
  before(async () => {
    deployment = await deploy({ parameters: { PushEndpoint: 'none' } });
    client = new V2Client(deployment.gateway.url, { Authorization: BASIC });
  });
  after(() => deployment?.stop());

  it('takes an image and gives it back', async () => {
    const { digest } = await pushImage(client, 'gw/app', 'latest', { contents: ['one', 'two'] });
    const response = await client.send('GET', '/v2/gw/app/manifests/latest');
    assert.equal(response.headers.get('Docker-Content-Digest'), digest);
  });
});
