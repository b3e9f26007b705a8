import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AuthSettings, createAuth } from '../../lib/auth/create-auth.ts';
import { Robots } from '../../lib/auth/tokens/robots.ts';
import type { Key } from '../../lib/model/layout.ts';
import { createLog } from '../../lib/model/log.ts';
import { SigningKeys } from '../../lib/model/signed-token.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import { accessLog } from '../../lib/server/access-log.ts';
import { createApp } from '../../lib/server/app.ts';
import { startNodeServer } from '../../lib/server/node-server.ts';
import type { OpenedStorage } from '../storage/contract.ts';
import { TEST_KEYS, TEST_SETTINGS, TEST_VERSION } from '../support/registry-server.ts';
import { V1Client } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';
import { locationOf, V2Client, withDigest } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { basic, openTestAuth, SECRET } from './test-auth.ts';

export function logSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`the log of a registry on ${name}`, () => {
    it('contains no password, token, session or presigned URL, at any level, after failures too', async () => {
      const storage = await open();
      const lines: string[] = [];
      const log = createLog('debug', (line) => lines.push(line) > 0);
      const access = [
        { repositories: 'public/*', users: 'anonymous', actions: 'pull' },
        { repositories: 'team/*', users: 'alice', actions: '*' },
      ];
      const { config } = await openTestAuth({ users: ['alice'], access });
      const settings = { publicUrl: undefined, uploadsAtOnce: 10, downloadsAtOnce: 10 };
      const users: AuthSettings = { auth: config, storage: { driver: 'local', path: '.' }, ...settings };
      const auth = await createAuth(users, {
        driver: storage.driver,
        keys: new SigningKeys(SECRET),
        log,
        audit: (entry) => log.audit(entry),
      });
      const app = createApp({
        registry: assembleRegistry(storage.driver, { copiesLayers: true }),
        keys: TEST_KEYS,
        log,
        outerMiddleware: accessLog(log),
        auth,
        isReady: async () => true,
        settings: { ...TEST_SETTINGS, hasSearch: true, storageRedirect: true },
        version: TEST_VERSION,
      });
      const server = await startNodeServer(app, { host: '127.0.0.1', port: 0 });
      const secrets = new Set([SECRET, 'alice-password', 'wrong-password']);
      const keep = (text: string | null | undefined) => {
        for (const part of text?.match(/[A-Za-z0-9_.~%=+/-]{24,}/g) ?? []) secrets.add(part);
      };
      const alice = new V2Client(server.url, basic('alice'));
      keep(basic('alice').Authorization);

      // Logins that succeed and that fail.
      const { token: robot } = await new Robots(storage.driver).create({
        name: 'ci',
        repositories: ['*'],
        actions: ['pull'],
        expiresAt: undefined,
      });
      secrets.add(robot.slice(-43));
      for (const headers of [
        basic('alice'),
        basic('alice', 'wrong-password'),
        basic('robot', robot),
        basic('robot', `${robot}x`),
      ]) {
        keep(headers.Authorization);
        const response = await fetch(new URL('/v2/_token?scope=repository:team/a:pull', server.url), { headers });
        if (response.status !== 200) continue;
        const { token } = (await response.json()) as { token: string };
        keep(token);
        await new V2Client(server.url, { Authorization: `Bearer ${token}` }).send('GET', '/v2/team/a/tags/list');
        await new V2Client(server.url, { Authorization: `Bearer ${token.slice(1)}` }).send('GET', '/v2/');
      }
      const form = new URLSearchParams({ grant_type: 'password', username: 'alice', password: 'wrong-password' });
      await fetch(new URL('/v2/_token', server.url), { method: 'POST', body: form });

      // Uploads, of which one fails; downloads, by a presigned URL where there is one.
      const { manifest } = await pushImage(alice, 'team/a', 'latest', { contents: ['x'] });
      const { layers } = manifest as { layers: { digest: string }[] };
      const started = await alice.start('team/a');
      keep(started.split('_state=')[1]);
      await alice.send('PUT', withDigest(started, `sha256:${'0'.repeat(64)}`), { body: 'x' });
      await alice.send('PATCH', `${started}x`, { body: 'x' });
      const blob = await alice.send('GET', `/v2/team/a/blobs/${layers[0]?.digest}`);
      if (blob.status === 307) keep(new URL(locationOf(blob)).searchParams.get('X-Amz-Signature'));
      const image = newImage();
      await new V1Client(server.url, basic('alice').Authorization).push('team/v1', [image], { latest: image.id });
      const index = await alice.send('GET', '/v1/repositories/team/v1/images');
      keep(index.headers.get('X-Docker-Token'));
      const layer = await alice.send('GET', `/v1/images/${image.id}/layer`);
      if (layer.status === 302) keep(new URL(locationOf(layer)).searchParams.get('X-Amz-Signature'));

      // A failure of the registry, with a stack trace.
      await storage.driver.put('images/0123456789abcdef/ancestry' as Key, Buffer.from('nonsense'));
      await storage.driver.put('images/0123456789abcdef/json' as Key, Buffer.from('{}'));
      await storage.driver.put('repositories/team/a/tag_broken' as Key, Buffer.from('0123456789abcdef'));
      const grant = 'oci/images/0123456789abcdef/repositories/team%2Fa/tag_broken/0123456789abcdef';
      await storage.driver.put(grant as Key, Buffer.from(''));
      const fault = await alice.send('GET', '/v1/images/0123456789abcdef/ancestry?token=secret-in-a-query');
      assert.equal(fault.status, 500);

      server.kill();
      await server.stop();
      await storage.close();
      const all = lines.join('');
      assert.match(all, /"message":"audit".*"who":"alice","action":"login"|"action":"login".*"who":"alice"/);
      assert.match(all, /request failed/);
      assert.ok(secrets.size > 10);
      for (const secret of [...secrets, 'secret-in-a-query', '_state=', 'X-Amz-', 'Bearer', 'Basic ']) {
        const at = lines.find((line) => line.includes(secret));
        assert.equal(at, undefined, `${secret} is in the log`);
      }
    });
  });
}
