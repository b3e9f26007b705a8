import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readOnlyStorage } from '../../lib/storage/guarded-writes.ts';
import { basic, openTestAuth, type TestAuth } from '../auth/test-auth.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { Browser, hiddenFields, tokenOf } from './browser.ts';

const USERS = ['alice', 'bob', 'admin'];

describe('the pages', () => {
  let storage: OpenedStorage;
  let auth: TestAuth;
  let server: RegistryServer;
  let alice: Browser;
  let bob: Browser;
  let admin: Browser;
  let nobody: Browser;
  let digests: Record<string, string>;
  before(async () => {
    storage = await openFiles();
    auth = await openTestAuth({
      users: USERS,
      access: [
        { repositories: ['public/*'], users: ['anonymous'], actions: ['pull'] },
        { repositories: ['alice/*'], users: ['alice'], actions: ['pull', 'push', 'delete'] },
        { repositories: ['bob/*'], users: ['bob'], actions: ['pull', 'push'] },
        { repositories: ['*'], users: ['admin'], actions: ['pull', 'push', 'delete'] },
      ],
    });
    server = await startRegistry(storage.driver, { auth });
    const client = new V2Client(server.url, basic('admin'));
    const push = async (repository: string, tag: string, contents: string[]) =>
      (await pushImage(client, repository, tag, { contents })).digest;
    digests = {
      'public/base': await push('public/base', '1', ['base']),
      'alice/app': await push('alice/app', '1.10', ['base', 'alice']),
      'bob/app': await push('bob/app', 'latest', ['base', 'bob']),
    };
    for (const tag of ['1.9', '1.2']) await push('alice/app', tag, ['base', `alice ${tag}`]);
    await push('alice/app', '1.10-same', ['base', 'alice']);
    await server.idle();
    [alice, bob, admin, nobody] = ['alice', 'bob', 'admin', ''].map(() => new Browser(server.url)) as [
      Browser,
      Browser,
      Browser,
      Browser,
    ];
    await alice.login('alice');
    await bob.login('bob');
    await admin.login('admin');
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  /** What each caller may see. */
  const seen = (): [string, Browser, string[]][] => [
    ['nobody', nobody, ['public/base']],
    ['alice', alice, ['alice/app', 'public/base']],
    ['bob', bob, ['bob/app', 'public/base']],
    ['admin', admin, ['alice/app', 'bob/app', 'public/base']],
  ];

  it('list the repositories that the caller may read, and no others', async () => {
    for (const [name, browser, repositories] of seen()) {
      for (const path of ['/ui/', '/ui/?q=app', '/ui/?q=a', '/ui/?sort=size', '/ui/?sort=pushed', '/ui/?after=a']) {
        const { status, text } = await browser.open(path);
        assert.equal(status, 200);
        for (const repository of ['alice/app', 'bob/app']) {
          if (repositories.includes(repository)) continue;
          assert.ok(!text.includes(`/ui/r/${repository}`), `${name} sees ${repository} on ${path}`);
        }
      }
      const { text } = await browser.open('/ui/');
      for (const repository of repositories) assert.ok(text.includes(`/ui/r/${repository}"`), `${name}: ${repository}`);
    }
  });

  it('group repositories by namespaces, and count in them what the caller may read', async () => {
    const client = new V2Client(server.url, basic('admin'));
    await pushImage(client, 'public/other', '1', { contents: ['other'] });
    const rows = async (browser: Browser) => {
      const { text } = await browser.open('/ui/?view=namespaces');
      return [...text.matchAll(/<a href="\/ui\/\?namespace=([^"]+)">[^<]+<\/a><\/th><td class="num">([^<]+)/g)].map(
        ([, name, count]) => `${name} ${count}`,
      );
    };
    assert.deepEqual(await rows(nobody), ['public 2']);
    assert.deepEqual(await rows(bob), ['bob 1', 'public 2']);
    assert.deepEqual(await rows(admin), ['alice 1', 'bob 1', 'public 2']);
    const { text } = await alice.open('/ui/?namespace=public');
    assert.match(text, /<h1>Namespace public<\/h1>/);
    assert.deepEqual(
      [...text.matchAll(/"\/ui\/r\/([^"]+)"/g)].map(([, name]) => name),
      ['public/base', 'public/other'],
    );
    const hidden = await bob.open('/ui/?namespace=alice');
    const absent = await bob.open('/ui/?namespace=absent');
    const shown = (page: string, name: string) => page.replaceAll(name, '').replaceAll(/value="[^"]+"/g, '');
    assert.equal(shown(hidden.text, 'alice'), shown(absent.text, 'absent'));
    await client.send('DELETE', '/v2/public/other/manifests/1');
  });

  it('tell the name of the bucket to operators only, with links to its console', async () => {
    const awsBucket = { bucket: 'our-secret-bucket', keyPrefix: 'registry/', region: 'eu-west-1' };
    const onAws = await startRegistry(storage.driver, { auth, awsBucket });
    try {
      for (const [name, isOperator] of [
        ['admin', true],
        ['alice', false],
        ['', false],
      ] as const) {
        const browser = new Browser(onAws.url);
        if (name !== '') await browser.login(name);
        const repository = name === '' ? 'public/base:1' : 'alice/app:1.10';
        for (const path of [
          '/ui/',
          '/ui/usage',
          ...['', '?view=v1', '?view=raw'].map((view) => `/ui/r/${repository}${view}`),
        ]) {
          const { text } = await browser.open(path);
          const isTold = isOperator && path.endsWith('view=v1');
          assert.equal(text.includes('our-secret-bucket'), isTold, `${name} ${path}`);
        }
      }
      const { text } = await new Browser(server.url).open('/ui/r/public/base:1?view=v1');
      assert.doesNotMatch(text, /console/);
    } finally {
      await onAws.stop();
    }
  });

  it('open only what the caller may read, by whatever path', async () => {
    for (const [name, browser, repositories] of seen()) {
      for (const [repository, digest] of Object.entries(digests)) {
        for (const rest of [
          '',
          '?tab=untagged',
          '?tab=access',
          `@${digest}`,
          `@${digest}?view=raw`,
          `@${digest}?view=v1`,
          ':latest?view=history',
          ':1.10',
          ':1',
        ]) {
          const { text, status } = await browser.open(`/ui/r/${repository}${rest}`);
          if (repositories.includes(repository)) continue;
          const isHidden = status === 403 || text.includes('type="password"');
          assert.ok(isHidden, `${name} opens ${repository}${rest}: ${status}`);
          assert.doesNotMatch(text, /<table|class="facts"/, `${name} reads ${repository}${rest}`);
        }
      }
    }
  });

  it('answer alike for what is not there and what is hidden', async () => {
    const hidden = await bob.open('/ui/r/alice/app');
    const absent = await bob.open('/ui/r/alice/nothing');
    assert.equal(hidden.status, absent.status);
    const shown = (text: string, name: string) =>
      text.replaceAll(name, '').replaceAll(/name="token" value="[^"]+"/g, 'another token on each page');
    assert.equal(shown(hidden.text, 'alice/app'), shown(absent.text, 'alice/nothing'));
  });

  it('find a digest in what the caller may read', async () => {
    for (const [name, browser, repositories] of seen()) {
      for (const [repository, digest] of Object.entries(digests)) {
        const { text } = await browser.open(`/ui/?q=${digest}`);
        assert.equal(
          text.includes(`/ui/r/${repository}@${digest}`),
          repositories.includes(repository),
          `${name}: ${repository}`,
        );
      }
    }
  });

  it('show the rights of now, not those of the login', async () => {
    // The session holds no rights: a caller that may not delete does not get the form, and the form of another one is refused.
    const { text } = await bob.open('/ui/r/bob/app');
    assert.ok(!text.includes('/ui/delete') || !text.includes('type="checkbox"'));
    const token = tokenOf((await bob.open('/ui/')).text);
    const fields: [string, string][] = [
      ['token', token],
      ['repository', 'bob/app'],
      ['tag', 'latest'],
      ['planned', `${digests['bob/app']} latest`],
    ];
    assert.equal((await bob.post('/ui/delete/confirmed', fields)).status, 403);
    assert.equal((await bob.post('/ui/delete', fields)).status, 403);
    assert.equal((await bob.open('/ui/r/bob/app:latest')).status, 200);
  });

  it('sort tags as versions, with the tags of one digest on one line', async () => {
    const { text } = await alice.open('/ui/r/alice/app');
    const rows = [...text.matchAll(/data-names="([^"]+)"/g)].map(([, names]) => names);
    assert.deepEqual(rows, ['1.10 1.10-same', '1.9', '1.2']);
    const filtered = await alice.open('/ui/r/alice/app?filter=1.1*');
    assert.deepEqual([...filtered.text.matchAll(/data-names="([^"]+)"/g)].length, 1);
  });

  it('show layers with the commands that made them, the config and the pull commands', async () => {
    const { text } = await alice.open('/ui/r/alice/app:1.10');
    for (const shown of [
      '<code>base</code>',
      '<code>alice</code>',
      '/bin/app',
      `docker pull ${server.url.host}/alice/app:1.10`,
      'crane pull',
      digests['alice/app'] ?? '-',
    ]) {
      assert.ok(text.includes(shown), shown);
    }
  });

  it('show how v1 sees an image', async () => {
    const { text } = await alice.open('/ui/r/alice/app:1.10?view=v1');
    const id = digests['alice/app']?.slice(7) ?? '';
    for (const shown of [id, `images/${id}/json`, `images/${id}/ancestry`]) assert.ok(text.includes(shown), shown);
  });

  it('delete tags after a plan, and bring them back', async () => {
    const { text } = await alice.open('/ui/r/alice/app');
    const plan = await alice.submit('/ui/delete', [
      ['token', tokenOf(text)],
      ['repository', 'alice/app'],
      ['tag', '1.9'],
    ]);
    assert.equal(plan.status, 200);
    assert.match(plan.text, /name="planned" value="sha256:[a-f0-9]{64} 1\.9"/);
    assert.ok((await alice.open('/ui/r/alice/app:1.9')).status === 200, 'a plan deletes nothing');
    const fields = hiddenFields(plan.text);
    const deleted = await alice.submit('/ui/delete/confirmed', [...fields, ['tag', '1.9']]);
    assert.match(deleted.text, /1 tag deleted/);
    assert.equal((await alice.open('/ui/r/alice/app:1.9')).status, 404);
    assert.ok(
      auth.audited.some(({ who, action, tags }) => who === 'alice' && action === 'delete' && tags?.includes('1.9')),
    );
    const notice = deleted.text.slice(deleted.text.indexOf('role="status"'));
    const undone = await alice.submit('/ui/delete/undo', hiddenFields(notice.slice(0, notice.indexOf('</div>'))));
    assert.match(undone.text, /1 tag restored/);
    assert.equal((await alice.open('/ui/r/alice/app:1.9')).status, 200);
  });

  for (const count of [30, 100])
    it(`show that ${count} long tags were deleted by a URL that gateways accept, also in a Referer`, async () => {
      const { manifest, digest } = await pushImage(new V2Client(server.url, basic('admin')), 'long/app', 't', {
        contents: ['a'],
      });
      const tags = Array.from({ length: count }, (_, n) => `${n}-${'x'.repeat(120)}`);
      const query = tags.map((tag) => `tag=${tag}`).join('&');
      await new V2Client(server.url, basic('admin')).pushManifest('long/app', `t?${query}`, manifest);
      const { text } = await admin.open('/ui/r/long/app');
      const response = await admin.post('/ui/delete/confirmed', [
        ['token', tokenOf(text)],
        ['repository', 'long/app'],
        ...tags.flatMap((tag): [string, string][] => [
          ['tag', tag],
          ['planned', `${digest} ${tag}`],
        ]),
      ]);
      const location = response.headers.get('Location') ?? '';
      assert.ok(location.length < 4096, `${location.length} characters`);
      assert.match((await admin.open(location)).text, new RegExp(`${count} tags deleted`));
    });

  it('leave a tag alone that has moved since the plan', async () => {
    const { text } = await alice.open('/ui/r/alice/app');
    const plan = await alice.submit('/ui/delete', [
      ['token', tokenOf(text)],
      ['repository', 'alice/app'],
      ['tag', '1.2'],
    ]);
    await pushImage(new V2Client(server.url, basic('alice')), 'alice/app', '1.2', { contents: ['moved'] });
    const after = await alice.submit('/ui/delete/confirmed', [...hiddenFields(plan.text), ['tag', '1.2']]);
    assert.match(after.text, /0 tags deleted\. 1 tag moved/);
    assert.equal((await alice.open('/ui/r/alice/app:1.2')).status, 200);
  });

  it('undo a push from the history of its tag', async () => {
    const client = new V2Client(server.url, basic('alice'));
    const { digest: first } = await pushImage(client, 'alice/undo', 'v', { contents: ['first'] });
    await pushImage(client, 'alice/undo', 'v', { contents: ['second'] });
    await server.idle();
    const { text } = await alice.open('/ui/r/alice/undo:v?view=history');
    assert.match(text, /alice/);
    const page = await alice.submit('/ui/r/alice/undo:v', hiddenFields(text));
    assert.match(page.text, /1 tag restored/);
    const { headers } = await client.send('HEAD', '/v2/alice/undo/manifests/v');
    assert.equal(headers.get('Docker-Content-Digest'), first);
  });

  it('show usage to operators only', async () => {
    assert.equal((await admin.open('/ui/usage')).status, 200);
    assert.equal((await alice.open('/ui/usage')).status, 403);
    assert.match((await nobody.open('/ui/usage')).text, /type="password"/);
  });

  it('are kept by no cache, framed by no page, and run nothing that was pushed', async () => {
    for (const path of ['/ui/', '/ui/login', '/ui/r/alice/app', '/ui/r/alice/app:1.10', '/ui/none', '/ui/usage']) {
      const { headers } = await fetch(new URL(path, server.url), {
        headers: { Cookie: [...alice.cookies].map(([k, v]) => `${k}=${v}`).join('; ') },
      });
      assert.equal(headers.get('Cache-Control'), 'private, no-store', path);
      const policy = headers.get('Content-Security-Policy') ?? '';
      for (const rule of ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"])
        assert.ok(policy.includes(rule), policy);
      assert.ok(!/unsafe|\*|https?:/.test(policy), policy);
      assert.equal(headers.get('X-Content-Type-Options'), 'nosniff');
    }
  });

  it('have neither styles nor scripts inside', async () => {
    for (const path of [
      '/ui/',
      '/ui/r/alice/app',
      '/ui/r/alice/app:1.10',
      '/ui/r/alice/app:1.10?view=raw',
      '/ui/usage',
    ]) {
      const { text } = await admin.open(path);
      assert.doesNotMatch(text, /<style|<script>|<script [^>]*>[^<]| style=| on[a-z]+="/, path);
      assert.doesNotMatch(text, /(?:src|href|action)="(?:https?:)?\/\//, `${path} asks another host`);
    }
  });

  it('are small: 30 kB for the first visit, 12 kB for a later one, compressed', async () => {
    const { gzipSync } = await import('node:zlib');
    const sizeOf = (text: string) => gzipSync(text).length;
    const { text } = await admin.open('/ui/r/alice/app');
    const assets = [...text.matchAll(/(?:href|src)="(\/ui\/(?:style|script)-[^"]+)"/g)].map(([, path = '']) => path);
    assert.equal(assets.length, 2);
    const bodies = await Promise.all(assets.map(async (path) => (await admin.open(path)).text));
    assert.ok(sizeOf(text) < 12_000);
    assert.ok(sizeOf(text) + bodies.reduce((sum, body) => sum + sizeOf(body), 0) < 30_000);
  });

  it('are where a browser is sent from the root, which other clients get as before', async () => {
    const asked = async (accept: string) =>
      await fetch(new URL('/', server.url), { headers: { Accept: accept }, redirect: 'manual' });
    assert.equal((await asked('text/html,application/xhtml+xml,*/*;q=0.8')).headers.get('Location'), '/ui/');
    for (const accept of ['*/*', 'application/json', '']) assert.equal((await asked(accept)).status, 200);
  });
});

describe('the pages of a read-only registry', () => {
  it('show everything, and change nothing', async () => {
    const storage = await openFiles();
    const writable = await startRegistry(storage.driver, { runsBackgroundWork: false });
    const { digest } = await pushImage(new V2Client(writable.url), 'team/app', 'v', { contents: ['a'] });
    await writable.stop();
    // Facts are missing, and cannot be written.
    const server = await startRegistry(readOnlyStorage(storage.driver), {
      isReadOnly: true,
      runsBackgroundWork: false,
    });
    try {
      const browser = new Browser(server.url);
      for (const path of [
        '/ui/',
        '/ui/r/team/app',
        '/ui/r/team/app:v',
        '/ui/r/team/app:v?view=history',
        '/ui/r/team/app?tab=untagged',
      ]) {
        const { status, text } = await browser.open(path);
        assert.equal(status, 200, path);
        assert.doesNotMatch(text, /type="checkbox"|name="entry"/, path);
      }
      const fields: [string, string][] = [
        ['token', ''],
        ['repository', 'team/app'],
        ['tag', 'v'],
        ['planned', `${digest} v`],
      ];
      const refused = await browser.post('/ui/delete/confirmed', fields);
      assert.equal(refused.status, 403);
      assert.equal((await browser.open('/ui/r/team/app:v')).status, 200);
    } finally {
      await server.stop();
      await storage.close();
    }
  });
});

describe('the pages of a private registry', () => {
  it('lead a caller who may read nothing to the login', async () => {
    const storage = await openFiles();
    const server = await startRegistry(storage.driver, { auth: await openTestAuth({ users: ['alice'] }) });
    try {
      assert.match((await new Browser(server.url).open('/ui/')).text, /type="password"/);
    } finally {
      await server.stop();
      await storage.close();
    }
  });
});

describe('the pages show as text', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  const browser = () => new Browser(server.url);
  const EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>\'&lt;';
  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  it('every field that a push controls', async () => {
    const client = new V2Client(server.url);
    const { digest } = await pushImage(client, 'evil/app', 'v', {
      contents: ['a'],
      config: {
        author: EVIL,
        architecture: EVIL,
        os: EVIL,
        config: {
          Entrypoint: [EVIL],
          Cmd: [EVIL],
          Env: [`${EVIL}=${EVIL}`],
          User: EVIL,
          WorkingDir: EVIL,
          ExposedPorts: { [EVIL]: {} },
          Volumes: { [EVIL]: {} },
          Labels: {
            [EVIL]: EVIL,
            'org.opencontainers.image.description': EVIL,
            'org.opencontainers.image.url': `javascript:${EVIL}`,
          },
        },
        history: [{ created_by: EVIL, comment: EVIL }],
      },
    });
    const { digest: blob } = await client.pushBlob('evil/app', Buffer.from('{}'));
    const artifact = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      artifactType: EVIL,
      config: { mediaType: EVIL, digest: blob, size: 2 },
      layers: [{ mediaType: EVIL, digest: blob, size: 2, annotations: { [EVIL]: EVIL } }],
      annotations: { [EVIL]: EVIL, 'org.opencontainers.image.source': `https://x/${EVIL}` },
      subject: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 },
    };
    assert.equal((await client.pushManifest('evil/app', 'artifact', artifact)).status, 201);
    const index = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest,
          size: 1,
          platform: { os: EVIL, architecture: EVIL },
        },
      ],
      annotations: { [EVIL]: EVIL },
    };
    const pushed = await client.pushManifest('evil/app', 'index', index);
    assert.ok([201, 400].includes(pushed.status));
    await server.idle();
    for (const path of [
      '',
      '?tab=untagged',
      ':v',
      ':v?view=raw',
      ':v?view=v1',
      ':v?view=referrers',
      ':v?view=history',
      ':artifact',
      ':artifact?view=raw',
      ':index',
      ':index?view=raw',
      `?filter=${encodeURIComponent(EVIL)}`,
    ]) {
      const { text, status } = await browser().open(`/ui/r/evil/app${path}`);
      assert.ok([200, 404].includes(status), `${status} ${path}`);
      assertHarmless(text, path);
    }
    for (const path of [
      `/ui/?q=${encodeURIComponent(EVIL)}`,
      `/ui/r/${encodeURIComponent(EVIL)}`,
      `/ui/r/evil/app:${encodeURIComponent(EVIL)}`,
      `/ui/digest?digest=${encodeURIComponent(EVIL)}`,
      `/ui/${encodeURIComponent(EVIL)}`,
      `/ui/?after=${encodeURIComponent(EVIL)}&sort=${encodeURIComponent(EVIL)}`,
    ]) {
      assertHarmless((await browser().open(path)).text, path);
    }
  });

  it('names of tags and repositories of old buckets', async () => {
    const name = encodeURIComponent('<b onmouseover=alert(1)>');
    const id = 'a'.repeat(64);
    const v1 = (method: string, path: string, body?: string) =>
      fetch(new URL(path, server.url), { method, ...(body !== undefined && { body }) });
    await v1('PUT', `/v1/images/${id}/json`, JSON.stringify({ id, author: EVIL }));
    await v1('PUT', `/v1/repositories/old/${name}/tags/${name}`, JSON.stringify(id));
    for (const path of ['/ui/', `/ui/r/old/${name}`, `/ui/r/old/${name}:${name}`])
      assertHarmless((await browser().open(path)).text, path);
  });

  it('a manifest whose config is no image, or is cut off', async () => {
    const client = new V2Client(server.url);
    for (const [tag, text] of [
      ['list', '[1,2]'],
      ['text', 'no json'],
      ['deep', '['.repeat(10_000)],
      ['null', 'null'],
      ['types', '{"config":{"Env":{"a":1},"Cmd":7,"Labels":[1]},"history":{"a":1},"created":5,"os":[],"rootfs":1}'],
    ] as const) {
      const bytes = Buffer.from(text);
      const { digest } = await client.pushBlob('odd/app', bytes);
      const { digest: layer } = await client.pushBlob('odd/app', Buffer.from('x'));
      const manifest = {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: bytes.length },
        layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer, size: 1 }],
      };
      assert.equal((await client.pushManifest('odd/app', tag, manifest)).status, 201);
      assert.equal((await browser().open(`/ui/r/odd/app:${tag}`)).status, 200, tag);
      assert.equal((await browser().open(`/ui/r/odd/app:${tag}?view=raw`)).status, 200, tag);
    }
    assert.equal((await browser().open('/ui/r/odd/app')).status, 200);
  });
});

function assertHarmless(text: string, where: string): void {
  assert.doesNotMatch(text, /<script>alert|<img|<b onmouseover|"javascript:/, where);
}
