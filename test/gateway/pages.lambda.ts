// The pages of the built stack behind the stand-in for an HTTP API, request by request, with the rights of the function's role.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { JsonObject } from '../../lib/model/json.ts';
import { type Key, layout } from '../../lib/model/layout.ts';
import { MEDIA_TYPES, parseManifest } from '../../lib/model/manifest.ts';
import { parseDigest, parseRepositoryName } from '../../lib/model/names.ts';
import { decodeBlobLink, encodeCondemnedLink } from '../../lib/registry/blobs/link.ts';
import { condemnedBy, encodeCondemnedManifest } from '../../lib/registry/condemned/condemned.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { type Bytes, decodeText } from '../../lib/streams/bytes.ts';
import { basic, htpasswdOf } from '../auth/test-auth.ts';
import { V1Client } from '../support/v1-client.ts';
import { Browser, hiddenFields, tokenOf } from '../ui/browser.ts';
import { LAYERS } from '../v1/layer-samples.ts';
import { newImage } from '../v1/use-registry.ts';
import { digestOf, V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { type Deployment, type DeployOptions, deploy } from './deployment.ts';
import { CERTIFICATE } from './http-api.ts';
import { objectOf } from './template.ts';

setDefaultCACertificates([...getCACertificates(), CERTIFICATE.toString()]);

const REGISTRY_HOST = 'restapi-id.execute-api.eu-west-1.amazonaws.com';

async function deployPages(
  parameters: Record<string, string> = {},
  edits: Pick<DeployOptions, 'edit' | 'editPushEndpoint'> = {},
): Promise<Deployment> {
  const htpasswd = await htpasswdOf(['alice']);
  return await deploy({ parameters: { PushEndpoint: 'none', ...parameters }, htpasswd, ...edits });
}

function urlOf({ pages }: Deployment): URL {
  return pages?.url ?? assert.fail('there are no pages');
}

/** The audit log of the pages. */
function auditOf({ functions }: Deployment): { action: string; outcome: string; from: string; status: number }[] {
  const lines = (functions.get('Ui')?.log ?? '').split('\n').filter((line) => line.includes('"message":"audit"'));
  return lines.map((line) => JSON.parse(line));
}

describe('the pages of the stack', () => {
  let deployment: Deployment;
  let client: V2Client;
  let storage: S3Driver;
  before(async () => {
    deployment = await deployPages();
    client = new V2Client(deployment.gateway.url, basic('alice'));
    storage = new S3Driver({ ...deployment.minio.driverOptions, keyPrefix: 'registry/' });
  });
  after(async () => {
    await storage?.close();
    await deployment?.stop();
  });

  const loggedIn = async (): Promise<Browser> => {
    const browser = new Browser(urlOf(deployment));
    assert.equal((await browser.login('alice')).status, 200);
    return browser;
  };

  /** Deletes a tag by the form of the pages, and returns the page that offers the undo. */
  async function deleteTag(browser: Browser, repository: string, tag: string): Promise<string> {
    const { text } = await browser.open(`/ui/r/${repository}`);
    const chosen: [string, string][] = [
      ['token', tokenOf(text)],
      ['repository', repository],
      ['tag', tag],
    ];
    const plan = await browser.submit('/ui/delete', chosen);
    assert.equal(plan.status, 200, plan.text);
    const planned = plan.text.match(/name="planned" value="([^"]+)"/)?.[1] ?? assert.fail(plan.text);
    const outcome = await browser.submit('/ui/delete/confirmed', [...chosen, ['planned', planned]]);
    assert.match(outcome.text, /1 tag deleted/);
    return outcome.text;
  }

  async function undo(browser: Browser, page: string, tag: string): Promise<string> {
    const fields = hiddenFields(page).filter(([name]) => name !== 'tag');
    const { text } = await browser.submit('/ui/delete/undo', [...fields, ['tag', tag]]);
    return text;
  }

  it('are all that their API answers, and no authorizer is asked', async () => {
    const calls = deployment.gateway.authorizerCalls();
    for (const path of ['/v2/', '/v2/team/app/tags/list', '/v1/users/', '/v1/_ping', '/readyz']) {
      const response = await fetch(new URL(path, urlOf(deployment)), { headers: basic('alice') });
      assert.equal(response.status, 404, path);
    }
    assert.equal(deployment.gateway.authorizerCalls(), calls);
    const response = await fetch(urlOf(deployment), { redirect: 'manual' });
    assert.deepEqual([response.status, response.headers.get('Location')], [302, '/ui/']);
  });

  it('keep the session in a cookie that only their host gets, and only by HTTPS', async () => {
    const browser = await loggedIn();
    assert.deepEqual([...browser.cookies.keys()], ['__Host-stowage']);
    const { headers } = (await new Browser(urlOf(deployment)).open('/ui/login')).response;
    assert.match(headers.getSetCookie()[0] ?? '', /; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
    const cookie = `__Host-stowage=${browser.cookies.get('__Host-stowage')}`;
    const answer = await fetch(new URL('/v2/', deployment.gateway.url), { headers: { Cookie: cookie } });
    assert.equal(answer.status, 401);
  });

  it('refuse a form of another origin', async () => {
    const browser = await loggedIn();
    const { text } = await browser.open('/ui/');
    for (const Origin of ['https://evil.example', `https://${REGISTRY_HOST}`]) {
      assert.equal((await browser.post('/ui/logout', hiddenFields(text), { Origin })).status, 403, Origin);
    }
  });

  it('write a refused login to the audit log, with the address that the gateway tells', async () => {
    const browser = new Browser(urlOf(deployment));
    const { status } = await browser.login('alice', 'wrong');
    assert.equal(status, 401);
    const refused = auditOf(deployment).filter(({ outcome }) => outcome === 'refused');
    assert.partialDeepStrictEqual(refused.at(-1), { action: 'login', from: '127.0.0.1', status: 401 });
  });

  it('show the commands with the host of the registry', async () => {
    await pushImage(client, 'team/app', '1.0', { contents: ['a'] });
    const { text } = await (await loggedIn()).open('/ui/r/team/app:1.0');
    assert.ok(text.includes(`docker pull ${REGISTRY_HOST}/team/app:1.0`), text);
  });

  it('lead to the bucket for a download, which may be larger than their answers', async () => {
    const bytes = randomBytes(1000);
    const { digest } = await client.pushBlob('team/app', bytes);
    const browser = await loggedIn();
    const cookie = `__Host-stowage=${browser.cookies.get('__Host-stowage')}`;
    const url = new URL(`/ui/r/team/app@${digest}?download=1`, urlOf(deployment));
    const answer = await fetch(url, { headers: { Cookie: cookie }, redirect: 'manual' });
    assert.equal(answer.status, 303);
    const location = new URL(answer.headers.get('Location') ?? '');
    assert.ok(location.searchParams.has('X-Amz-Signature'), location.pathname);
    assert.deepEqual(Buffer.from(await (await fetch(location)).arrayBuffer()), bytes);
  });

  it('delete a tag and restore it', async () => {
    await pushImage(client, 'team/undo', '1.0', { contents: ['a'] });
    const browser = await loggedIn();
    const page = await deleteTag(browser, 'team/undo', '1.0');
    assert.equal((await client.send('GET', '/v2/team/undo/manifests/1.0')).status, 404);
    assert.match(await undo(browser, page, '1.0'), /1 tag restored/);
    assert.equal((await client.send('GET', '/v2/team/undo/manifests/1.0')).status, 200);
  });

  it('restore a tag whose image the collector has condemned', async () => {
    const repository = parseRepositoryName('team/old');
    const image = await pushImage(client, repository, undefined, { contents: ['only here'] });
    const subject = { mediaType: MEDIA_TYPES.ociManifest, digest: image.digest, size: image.sizeBytes };
    const artifact = { ...image.manifest, subject };
    assert.equal((await client.pushManifest(repository, '1.0', artifact)).status, 201);
    const digest = digestOf(Buffer.from(JSON.stringify(artifact)));
    const browser = await loggedIn();
    const page = await deleteTag(browser, repository, '1.0');
    const manifest = layout.manifest(repository, parseDigest(digest));
    const bytes = await bytesOf(manifest);
    const links = parseManifest(bytes).blobs.map((blob) => layout.blobLink(repository, blob.digest));
    await storage.put(manifest, encodeCondemnedManifest(bytes, condemnedBy('a-run')));
    for (const link of links)
      await storage.put(link, encodeCondemnedLink(decodeBlobLink(await bytesOf(link), link), condemnedBy('a-run')));
    assert.match(await undo(browser, page, '1.0'), /1 tag restored/);
    for (const key of [manifest, ...links]) assert.doesNotMatch(decodeText(await bytesOf(key)), /"condemned"/, key);
    assert.equal((await client.send('GET', '/v2/team/old/manifests/1.0')).status, 200);
  });

  async function bytesOf(key: Key): Promise<Bytes> {
    return (await storage.read(key))?.bytes ?? assert.fail(`${key} is gone`);
  }

  for (const tag of ['14.04', 'latest']) {
    it(`show an image that a v1 client pushed as ${tag}, delete the tag and restore it`, async () => {
      await deletesAndRestores(`old/ubuntu-${tag}`, tag);
    });
  }

  async function deletesAndRestores(repository: string, tag: string): Promise<void> {
    const v1 = new V1Client(deployment.gateway.url, basic('alice').Authorization);
    // A format that v2 clients do not read: the conversion stores the layer again.
    const image = newImage({ layer: LAYERS['tar.bz2'] ?? assert.fail() });
    await v1.push(repository, [image], { [tag]: image.id });
    const browser = await loggedIn();
    for (const view of ['', '?view=raw', '?view=v1', '?view=history']) {
      const { status, text } = await browser.open(`/ui/r/${repository}:${tag}${view}`);
      assert.equal(status, 200, text);
    }
    const page = await deleteTag(browser, repository, tag);
    assert.match(await undo(browser, page, tag), /1 tag restored/);
    assert.deepEqual(
      (await v1.pull(repository, tag)).map(({ id }) => id),
      [image.id],
    );
  }
});

describe('a private stack whose rules name callers without a login', () => {
  const rules = '[{repositories: "*", users: [anonymous], actions: [pull, push, delete]}]';
  let deployment: Deployment;
  before(async () => {
    const variables = (template: JsonObject, path: string[]) =>
      path.reduce((map: JsonObject, name) => objectOf(map[name] ?? null, name), template);
    deployment = await deployPages(
      { PushEndpoint: 'web-function' },
      {
        edit: (template) => {
          const own = variables(template, ['Resources', 'Ui', 'Properties', 'Environment', 'Variables']);
          Object.assign(own, { ACCESS: rules });
        },
        editPushEndpoint: (template) => {
          const own = variables(template, ['Resources', 'PushEndpoint', 'Properties', 'EnvironmentVariables']);
          Object.assign(own, { ACCESS: rules });
        },
      },
    );
  });
  after(() => deployment?.stop());

  it('asks for a login on its pages', async () => {
    const response = await fetch(new URL('/ui/', urlOf(deployment)), { redirect: 'manual' });
    assert.deepEqual([response.status, response.headers.get('Location')], [303, '/ui/login']);
    assert.equal((await new Browser(urlOf(deployment)).login('alice')).status, 200);
  });

  it('asks for a login at its push endpoint', async () => {
    const { url } = deployment.pushEndpoint ?? assert.fail('there is no push endpoint');
    for (const path of ['/v2/', '/v2/_token', '/v2/team/app/tags/list'])
      assert.equal((await fetch(new URL(path, url))).status, 401, path);
  });
});

describe('the pages behind CloudFront', () => {
  const EdgeKey = 'abcdefgh12345678';
  const HOST = 'registry.example.com';
  let deployment: Deployment;
  before(async () => {
    const PushEndpoint = 'https://push.example.com';
    deployment = await deployPages({ PushEndpoint, Edge: 'cloudfront', EdgeKey, RegistryHost: HOST });
  });
  after(() => deployment?.stop());

  /** The status of a login by a form, and where the audit log says that it came from. */
  async function login(headers: Record<string, string>, password = 'alice-password') {
    const browser = new Browser(urlOf(deployment));
    const { text } = await browser.open('/ui/login', headers);
    const fields: [string, string][] = [...hiddenFields(text), ['name', 'alice'], ['password', password]];
    const { status } = await browser.post('/ui/login', fields, headers);
    return { status, from: auditOf(deployment).at(-1)?.from };
  }

  const byEdge = { 'X-Stowage-Edge': EdgeKey, 'X-Forwarded-For': '198.51.100.1, 203.0.113.1' };

  it("are of the registry's origin, and know where the client is", async () => {
    assert.equal((await login({ ...byEdge, Origin: `https://${HOST}` })).status, 303);
    const { status, from } = await login({ ...byEdge, Origin: `https://${HOST}` }, 'wrong');
    assert.deepEqual([status, from], [401, '203.0.113.1']);
    assert.equal((await login({ ...byEdge, Origin: urlOf(deployment).origin })).status, 403);
  });

  it('are of their own origin for a client that comes past it, and its headers count for nothing', async () => {
    const past = { ...byEdge, 'X-Stowage-Edge': 'a guess' };
    assert.equal((await login(past)).status, 303);
    assert.equal((await login({ ...past, Origin: `https://${HOST}` })).status, 403);
    const { status, from } = await login(past, 'wrong');
    assert.deepEqual([status, from], [401, '127.0.0.1']);
  });
});
