// The web pages in a real browser, with and without JavaScript, in each colour scheme and on a narrow screen: one suite for each way
// to serve them.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { pushArtifact } from '../ui/documents/push-artifact.ts';
import { PREDICATE_TYPES, PROVENANCE_02, SPDX, statement } from '../ui/documents/samples.ts';
import type { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { startChromium } from './browser.ts';

const PAGES = [
  '/ui/',
  '/ui/?q=a',
  '/ui/?q=nothing',
  '/ui/login',
  '/ui/usage',
  '/ui/r/team/api',
  '/ui/r/team/api?filter=nothing',
  '/ui/r/team/api?tab=untagged',
  '/ui/r/team/api?tab=access',
  '/ui/r/team/api:2.0',
  '/ui/r/team/api:2.0?view=raw',
  '/ui/r/team/api:2.0?view=v1',
  '/ui/r/team/api:2.0?view=referrers',
  '/ui/r/team/api:2.0?view=history',
  '/ui/r/team/documents:1',
  '/ui/r/team/documents:1?document=2',
  '/ui/r/team/documents:1?filter=nothing',
  '/ui/r/team/long',
  '/ui/none',
];

/** A registry with pages, in which the user alice, with the password of `openTestAuth`, may do everything. */
export type PagesServer = {
  /** Where the pages are. */
  url: URL;
  /** Pushes as alice. */
  client: V2Client;
  /** Resolves when no background work is left. */
  idle(): Promise<void>;
  stop(): Promise<void>;
};

export function describePages(title: string, start: () => Promise<PagesServer>): void {
  describe(title, () => pagesIn(start));
}

/** A signature of cosign by a tag, which nothing verifies, with words that do not fit into a narrow window. */
async function pushSignature(client: V2Client, repository: string, digest: string): Promise<void> {
  const words = 'a-long-word-without-a-break'.repeat(12);
  const payload = {
    critical: {
      type: 'cosign container image signature',
      identity: { 'docker-reference': words },
      image: { 'docker-manifest-digest': digest },
    },
    optional: { [words]: words },
  };
  const bytes = Buffer.from(JSON.stringify(payload));
  const [config, layer] = [
    await client.pushBlob(repository, Buffer.from('{}')),
    await client.pushBlob(repository, bytes),
  ];
  const annotations = { 'dev.cosignproject.cosign/signature': 'AAAA' };
  const mediaType = 'application/vnd.dev.cosign.simplesigning.v1+json';
  await client.pushManifest(repository, `${digest.replace(':', '-')}.sig`, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config.digest, size: 2 },
    layers: [{ mediaType, digest: layer.digest, size: bytes.length, annotations }],
  });
}

function pagesIn(start: () => Promise<PagesServer>): void {
  let server: PagesServer;
  let browser: Browser;
  before(async () => {
    server = await start();
    const { client } = server;
    for (const [tag, contents] of [
      ['1.0', ['base']],
      ['1.10', ['base', 'app']],
      ['2.0', ['base', 'app', 'more']],
      ['latest', ['base', 'app', 'more']],
    ] as const) {
      const { digest } = await pushImage(client, 'team/api', tag, { contents: [...contents] });
      if (tag === '2.0') await pushSignature(client, 'team/api', digest);
    }
    await pushImage(client, 'team/api', undefined, { contents: ['untagged'] });
    const long = {
      name: 'a-long-name'.repeat(20),
      versionInfo: '1'.repeat(200),
      licenseDeclared: 'MIT AND '.repeat(30),
    };
    await pushArtifact(client, 'team/documents', {
      tag: '1',
      layers: [
        { mediaType: 'application/spdx+json', content: { ...SPDX, packages: [...SPDX.packages, long] } },
        {
          mediaType: 'application/vnd.in-toto+json',
          content: statement(PREDICATE_TYPES.provenance02, PROVENANCE_02),
        },
      ],
    });
    const words = 'a-long-word-without-a-break'.repeat(12);
    await pushImage(client, 'team/long', `v${words.slice(0, 120)}`, {
      contents: [words],
      config: { config: { Env: [`${words}=${words}`], Labels: { [words]: words } } },
    });
    await server.idle();
    browser = await startChromium();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  async function loggedIn(
    options: Parameters<Browser['newContext']>[0] = {},
  ): Promise<{ context: BrowserContext; page: Page }> {
    const context = await browser.newContext({ ...options, ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await page.goto(`${server.url.origin}/ui/login`);
    await page.getByLabel('User name').fill('alice');
    await page.getByLabel('Password').fill('alice-password');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.waitForURL('**/ui/');
    return { context, page };
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [360, 1280]) {
      it(`are accessible and fit into ${width} pixels, in ${colorScheme}`, async () => {
        const { context, page } = await loggedIn({ colorScheme, viewport: { width, height: 800 } });
        const problems: string[] = [];
        const foreign: string[] = [];
        page.on('console', (message) => problems.push(message.text()));
        page.on('pageerror', (error) => problems.push(error.message));
        page.on('request', (request) => {
          if (new URL(request.url()).origin !== server.url.origin && !request.url().startsWith('data:'))
            foreign.push(request.url());
        });
        for (const path of PAGES) {
          await page.goto(server.url.origin + path);
          const { violations } = await new AxeBuilder({ page }).analyze();
          assert.deepEqual(
            violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
            [],
            path,
          );
          const overflow = await page.evaluate(
            'document.documentElement.scrollWidth - document.documentElement.clientWidth',
          );
          assert.equal(overflow, 0, `${path} is wider than the window`);
        }
        // A page that is not there is reported by the browser's console.
        assert.deepEqual(
          problems.filter((text) => !text.includes('404')),
          [],
        );
        assert.deepEqual(foreign, []);
        await context.close();
      });
    }
  }

  for (const javaScriptEnabled of [true, false]) {
    it(`find, delete and restore a tag ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
      const { context, page } = await loggedIn({ javaScriptEnabled });
      await page.getByRole('searchbox').first().fill('api');
      await page.keyboard.press('Enter');
      await page.getByRole('rowheader', { name: 'team/api' }).getByRole('link', { name: 'api', exact: true }).click();
      await page.getByLabel('Select 1.10').check();
      await page.getByRole('button', { name: 'Delete the selected tags…' }).click();
      await page.getByRole('heading', { name: 'Delete 1 tag of team/api?' }).waitFor();
      await page.getByRole('button', { name: 'Delete the selected tags' }).click();
      await page.getByText('1 tag deleted.').waitFor();
      assert.equal(await page.getByRole('link', { name: '1.10', exact: true }).count(), 0);
      await page.getByRole('button', { name: 'Undo' }).click();
      await page.getByText('1 tag restored.').waitFor();
      assert.equal(await page.getByRole('link', { name: '1.10', exact: true }).count(), 1);
      await context.close();
    });
  }

  it('are driven by the keyboard: / goes to the search, Tab shows where one is', async () => {
    const { context, page } = await loggedIn();
    await page.keyboard.press('/');
    assert.equal(await page.evaluate('document.activeElement.name'), 'q');
    await page.goto(`${server.url.origin}/ui/r/team/api`);
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate('document.activeElement.className'), 'skip');
    const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
    assert.equal(outline, 'solid');
    await context.close();
  });

  it('filter the tags as one types', async () => {
    const { context, page } = await loggedIn();
    await page.goto(`${server.url.origin}/ui/r/team/api`);
    await page.getByLabel('Filter tags').fill('1.*');
    assert.equal(await page.locator('tbody tr:visible').count(), 2);
    await context.close();
  });

  for (const javaScriptEnabled of [true, false]) {
    it(`find a package of an SBOM ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
      const { context, page } = await loggedIn({ javaScriptEnabled });
      await page.goto(`${server.url.origin}/ui/r/team/documents:1`);
      await page.getByLabel('Search packages').fill('libssl');
      if (javaScriptEnabled) assert.equal(await page.locator('[data-names]:visible').count(), 1);
      await page.getByLabel('Search packages').press('Enter');
      await page.waitForURL('**filter=libssl**');
      assert.equal(await page.locator('[data-names]').count(), 1);
      assert.equal(await page.getByText('libssl3').count(), 1);
      await context.close();
    });
  }

  it('run no script that was pushed, even where a page would show it', async () => {
    const { client } = server;
    const script = '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">';
    await pushImage(client, 'team/evil', 'v', {
      contents: [script],
      config: {
        author: script,
        config: { Labels: { [script]: script }, Env: [script] },
        history: [{ created_by: script }],
      },
    });
    const { context, page } = await loggedIn();
    for (const view of ['', '?view=raw', '?view=v1', '?view=history']) {
      await page.goto(`${server.url.origin}/ui/r/team/evil:v${view}`);
      assert.match(await page.title(), /^team\/evil:v/);
    }
    await context.close();
  });
}
