import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { layout } from '../../lib/model/layout.ts';
import { parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { MAX_HIDDEN_NAMESPACES } from '../../lib/registry/repositories/catalog.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { basic, openTestAuth, type TestAuth } from '../auth/test-auth.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { Browser, tokenOf } from './browser.ts';

const CORS = {
  origins: ['https://other.example'],
  methods: undefined,
  headers: undefined,
  exposeHeaders: undefined,
  supportsCredentials: true,
  maxAgeSeconds: undefined,
};

describe('the pages beside repositories that the caller may not list', () => {
  let storage: OpenedStorage;
  let auth: TestAuth;
  let server: RegistryServer;
  let eve: Browser;
  let digest: string;
  before(async () => {
    storage = await openFiles();
    auth = await openTestAuth({
      users: ['eve', 'admin'],
      access: [
        { repositories: ['*/open'], users: ['eve'], actions: ['pull', 'push', 'delete'] },
        { repositories: ['*'], users: ['admin'], actions: ['pull', 'push', 'delete'] },
        { repositories: ['*'], users: ['eve'], actions: ['push'] },
      ],
    });
    server = await startRegistry(storage.driver, { auth, cors: CORS });
    ({ digest } = await pushImage(new V2Client(server.url, basic('admin')), 'zz/open', 'v', { contents: ['a'] }));
    for (let n = 0; n < MAX_HIDDEN_NAMESPACES; n++) {
      const key = layout.tag(parseRepositoryName(`secret-${n}/app`), parseTag('v'));
      await storage.driver.put(key, encodeText(digest.slice(7)));
    }
    eve = new Browser(server.url);
    await eve.login('eve');
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  it('name none of them in links to the next page', async () => {
    for (const path of ['/ui/', `/ui/digest?digest=${digest}`]) {
      const { text } = await eve.open(path);
      assert.doesNotMatch(text, /secret-/, path);
      const [, next] = /rel="next" href="([^"]+)"/.exec(text) ?? [];
      const { text: second } = await eve.open((next ?? assert.fail('one page')).replaceAll('&amp;', '&'));
      assert.match(second, /\/ui\/r\/zz\/open/, path);
    }
  });

  it('give scripts of other origins nothing, whatever they may read of the API', async () => {
    const allowed = async (path: string) =>
      (await fetch(new URL(path, server.url), { headers: { Origin: 'https://other.example' } })).headers.get(
        'Access-Control-Allow-Origin',
      );
    assert.equal(await allowed('/v2/'), 'https://other.example');
    for (const path of ['/ui', '/ui/', '/ui/login']) assert.equal(await allowed(path), null, path);
  });

  it('audit what a form has changed, and what it failed to change', async () => {
    const token = tokenOf((await eve.open('/ui/')).text);
    const post = async (path: string, fields: [string, string][]) => {
      auth.audited.length = 0;
      const { status } = await eve.post(path, [['token', token], ['repository', 'zz/open'], ...fields]);
      return [status, ...auth.audited.map(({ action, outcome, tags }) => `${action} ${outcome} ${tags?.join()}`)];
    };
    assert.deepEqual(await post('/ui/r/zz/open:v', [['entry', 'none']]), [404, 'push failed v']);
    const stale: [string, string][] = [
      ['tag', 'v'],
      ['planned', `sha256:${'0'.repeat(64)} v`],
    ];
    assert.deepEqual(await post('/ui/delete/confirmed', stale), [303, 'delete done ']);
    assert.deepEqual(await post('/ui/delete/undo', [['tag', 'v']]), [303, 'push done ']);
    assert.deepEqual(await post('/ui/delete/undo', [['tag', 'never']]), [303, 'push done ']);
    const shown: [string, string][] = [
      ['tag', 'v'],
      ['planned', `${digest} v`],
    ];
    assert.deepEqual(await post('/ui/delete/confirmed', shown), [303, 'delete done v']);
  });

  it('write no more of a made-up name to the audit log than a user name may have', async () => {
    auth.audited.length = 0;
    await new Browser(server.url).login('x'.repeat(10_000));
    assert.deepEqual(
      auth.audited.map(({ who }) => who.length),
      [64],
    );
  });
});
