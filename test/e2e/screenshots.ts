// `npm run screenshots`: writes the pictures of docs/images/, of a registry with made-up repositories.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { basic, openTestAuth } from '../auth/test-auth.ts';
import { openFiles } from '../storage/open.ts';
import { startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { startChromium } from './browser.ts';
import { incompressible } from './images.ts';

const TO = join(import.meta.dirname, '../../docs/images');

const SHOTS = [
  ['repositories', '/ui/', 'light'],
  ['tags', '/ui/r/team/api', 'light'],
  ['image', '/ui/r/team/api:2.14.1', 'dark'],
] as const;

const storage = await openFiles();
const server = await startRegistry(storage.driver, { auth: await openTestAuth({ users: ['alice', 'ci-api'] }) });
const client = new V2Client(server.url, basic('ci-api'));
const text = (kilobytes: number, seed: string) => incompressible(kilobytes * 1000, seed).toString('base64');
const [base, tools] = [text(900, 'base'), text(300, 'tools')];

const history = (app: string) => [
  { created_by: 'ADD rootfs.tar.xz /' },
  { created_by: 'RUN /bin/sh -c apt-get update && apt-get install -y ca-certificates # buildkit' },
  { created_by: 'ENV NODE_ENV=production', empty_layer: true },
  { created_by: `COPY --from=build /${app} /${app}` },
];
const push = async (name: string, tag: string, kilobytes: number) =>
  await pushImage(client, name, tag, {
    contents: [base, tools, text(kilobytes, name + tag)],
    config: {
      created: new Date().toISOString(),
      config: {
        Entrypoint: ['/app/server'],
        User: '1000',
        ExposedPorts: { '8080/tcp': {} },
        Env: ['NODE_ENV=production'],
        Labels: { version: tag, 'org.opencontainers.image.licenses': 'Apache-2.0' },
      },
      history: history('app'),
    },
  });
for (const tag of ['2.13.8', '2.13.10', '2.14.0-rc1', '2.14.0']) await push('team/api', tag, 600);
const { manifest } = await push('team/api', '2.14.1', 700);
for (const tag of ['2.14', 'latest']) await client.pushManifest('team/api', tag, manifest);
for (const [name, tag] of [
  ['team/web', 'v91'],
  ['team/worker', '1.4'],
  ['charts/ingress', '4.2.0'],
  ['library/alpine', '3.22'],
  ['library/centos', '6.5'],
] as const) {
  await push(name, tag, 200);
}
await server.idle();
await client.send('POST', '/v2/_stowage/usage');
for (let isCounted = false; !isCounted; ) {
  const { usage } = (await (await client.send('GET', '/v2/_stowage/usage')).json()) as { usage: object | null };
  isCounted = usage !== null;
}

const browser = await startChromium();
await mkdir(TO, { recursive: true });
for (const [name, path, colorScheme] of SHOTS) {
  const page = await browser.newPage({ colorScheme, viewport: { width: 1100, height: 640 } });
  await page.goto(`${server.url.origin}/ui/login`);
  await page.getByLabel('User name').fill('alice');
  await page.getByLabel('Password').fill('alice-password');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL('**/ui/');
  // The address of the test's server would be another one in each picture.
  await page.route('**/*', async (route) => {
    const response = await route.fetch();
    const isPage = response.headers()['content-type']?.startsWith('text/html') === true;
    const body = isPage ? (await response.text()).replaceAll(server.url.host, 'registry.example.com') : undefined;
    await route.fulfill({ response, ...(body !== undefined && { body }) });
  });
  await page.goto(server.url.origin + path);
  await page.screenshot({ path: join(TO, `${name}.png`) });
  await page.close();
}
await browser.close();
await server.stop();
await storage.close();
