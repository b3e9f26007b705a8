// The pages of the built stack, behind the stand-in for an HTTP API: by HTTPS, with the role of the function.
import assert from 'node:assert/strict';
import { basic, htpasswdOf } from '../auth/test-auth.ts';
import { deploy } from '../gateway/deployment.ts';
import { V2Client } from '../v2/client.ts';
import { describePages } from './pages.ts';

describePages('the web pages behind API Gateway, in Chromium', async () => {
  const deployment = await deploy({ parameters: { PushEndpoint: 'none' }, htpasswd: await htpasswdOf(['alice']) });
  const { gateway, pages, events } = deployment;
  assert(pages);
  return {
    url: pages.url,
    client: new V2Client(gateway.url, basic('alice')),
    idle: () => events.idle(),
    stop: () => deployment.stop(),
  };
});
