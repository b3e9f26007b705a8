// What clients and pushed content cannot do to the process that makes the pages.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { Gate } from '../../lib/auth/gate.ts';
import { RequestLimits } from '../../lib/auth/request-limits.ts';
import { ConcurrencyLimit } from '../../lib/limits/concurrency-limit.ts';
import { MAX_SCANNED_VALUES } from '../../lib/model/json-scanner.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { Browser } from './browser.ts';
import { pushArtifact } from './documents/push-artifact.ts';

describe('the pages, for hostile clients and content', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  const downloads = new ConcurrencyLimit({ what: 'downloads', atOnce: 2, waitMs: 1000 });
  before(async () => {
    storage = await openFiles();
    const limits = new RequestLimits({ downloads });
    server = await startRegistry(storage.driver, { auth: { gate: Gate.forOpenRegistry(), limits } });
    client = new V2Client(server.url);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const textOf = async (path: string): Promise<string> => {
    await server.idle();
    const { status, text } = await new Browser(server.url).open(path);
    assert.equal(status, 200, path);
    return text;
  };

  it('take no download slot for a HEAD request', async () => {
    const content = randomBytes(MiB);
    const { digest } = await client.pushBlob('hostile/app', content);
    const path = `/ui/r/hostile/app@${digest}?download=1`;
    for (let n = 0; n < 5; n++) {
      const response = await client.send('HEAD', path);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('Content-Length'), String(content.length));
    }
    assert.deepEqual([downloads.running, downloads.waiting], [0, 0]);
    const response = await client.send('GET', path);
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), content);
  });

  it('show JSON that is nested deep without indents', async () => {
    const nested = '['.repeat(150) + Array(1000).fill(0).join() + ']'.repeat(150);
    const config = { architecture: 'amd64', nested: JSON.parse(nested) };
    await pushImage(client, 'hostile/deep', '1', { contents: ['deep'], config });
    const text = await textOf('/ui/r/hostile/deep:1?view=raw');
    assert.ok(text.includes('[[[[') && text.includes('0,0,0,0'));
    await pushImage(client, 'hostile/flat', '1', { contents: ['flat'], config: { architecture: 'amd64', flat: [0] } });
    assert.match(await textOf('/ui/r/hostile/flat:1?view=raw'), /&quot;flat&quot;: \[\n {4}0\n {2}\]/);
  });

  it('keep the direction of pushed text from the text beside it', async () => {
    const turned = '\u{202e}gro.elpmaxe';
    const Labels = { 'org.opencontainers.image.description': turned };
    await pushImage(client, 'hostile/turned', '1', { contents: ['turned'], config: { config: { Labels } } });
    assert.ok((await textOf('/ui/r/hostile/turned:1')).includes(`<bdi>${turned}</bdi>`));
    const content = { predicateType: 'x', subject: [{ name: turned, digest: { sha256: 'a' } }] };
    const layers = [{ mediaType: 'application/vnd.in-toto+json', content }];
    const { digest } = await pushArtifact(client, 'hostile/turned', { layers });
    assert.ok((await textOf(`/ui/r/hostile/turned@${digest}`)).includes(`<li><bdi>${turned}</bdi> <code>`));
  });

  it('stop reading a document of very many values, and say so', async () => {
    const { digest } = await pushArtifact(client, 'hostile/many', {
      layers: [{ mediaType: 'application/spdx+json', content: `{"packages":[${'0,'.repeat(MAX_SCANNED_VALUES)}0]}` }],
    });
    const text = await textOf(`/ui/r/hostile/many@${digest}`);
    assert.match(text, /too many values/);
    assert.match(text, /\?download=1"/);
  });
});
