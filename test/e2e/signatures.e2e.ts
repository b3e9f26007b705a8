// What the pages say of signatures that cosign itself makes.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openTrustedKeys } from '../../lib/ui/data/signatures/trusted-keys.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { Browser } from '../ui/browser.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { run } from './programs.ts';

const OFFLINE = [
  '--yes',
  '--key=cosign.key',
  '--allow-http-registry',
  '--use-signing-config=false',
  '--tlog-upload=false',
];

describe('signatures by cosign, on the page of the image', () => {
  let directory: string;
  let storage: OpenedStorage;
  let trusting: RegistryServer;
  let trustless: RegistryServer;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'signatures-'));
    await cosign('generate-key-pair');
    storage = await openFiles();
    const key = { name: 'release', path: join(directory, 'cosign.pub'), repositories: ['team/*'] };
    trusting = await startRegistry(storage.driver, { trustedKeys: await openTrustedKeys([key]) });
    trustless = await startRegistry(storage.driver);
  });
  after(async () => {
    await trusting.stop();
    await trustless.stop();
    await storage.close();
    await rm(directory, { recursive: true });
  });

  const cosign = (...args: string[]) =>
    run('cosign', args, { cwd: directory, env: { HOME: directory, COSIGN_PASSWORD: '', COSIGN_EXPERIMENTAL: '1' } });
  const signaturesOn = async ({ url }: RegistryServer, repository: string): Promise<string[]> => {
    const { status, text } = await new Browser(url).open(`/ui/r/${repository}:1?view=referrers`);
    assert.equal(status, 200);
    return (text.split('<table>')[0] ?? '').split('class="panel claim"').slice(1);
  };
  const push = async (repository: string): Promise<string> => {
    const { digest } = await pushImage(new V2Client(trusting.url), repository, '1', { contents: [repository] });
    return `127.0.0.1:${trusting.url.port}/${repository}@${digest}`;
  };

  const old = ['--new-bundle-format=false', '-a', 'who=alice'];
  const forms: [string, string, string[]][] = [
    ['by a tag', 'team/tag', ['sign', ...OFFLINE, ...old, '--registry-referrers-mode=legacy']],
    ['as a referrer', 'team/referrer', ['sign', ...OFFLINE, ...old, '--registry-referrers-mode=oci-1-1']],
    ['as a bundle', 'team/bundle', ['sign', ...OFFLINE, '-a', 'who=alice']],
    [
      'of a statement',
      'team/statement',
      ['attest', ...OFFLINE, '--type=slsaprovenance1', '--predicate=predicate.json'],
    ],
  ];
  for (const [form, repository, command] of forms) {
    it(`are verified by the trusted key, and only by that: ${form}`, async () => {
      await writeFile(join(directory, 'predicate.json'), '{"who":"alice"}');
      await cosign(...command, await push(repository));
      const [verified, ...more] = await signaturesOn(trusting, repository);
      assert.deepEqual(more, []);
      assert.match(verified ?? '', /verified by key release.*this manifest/s);
      const [unverified = ''] = await signaturesOn(trustless, repository);
      assert.match(unverified, />not verified<.*this manifest/s);
    });
  }

  it('are not verified in a repository that the key is not for', async () => {
    await cosign(...(forms[0]?.[2] ?? []), await push('other/app'));
    const [signature = ''] = await signaturesOn(trusting, 'other/app');
    assert.match(signature, />not verified<.*this manifest/s);
  });
});
