// Answers of the Node server are the same with the classes of fetch that `stowage serve` uses and with those of Node.
import assert from 'node:assert/strict';
import { type IncomingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, describe, it } from 'node:test';
import { useFetchClasses } from '../../lib/server/use-fetch-classes.ts';
import { openFiles } from '../storage/open.ts';
import { startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';

const REPOSITORY = 'a/b';
const ORIGIN = 'https://a.example';
const CORS = {
  ...{ origins: [ORIGIN], methods: undefined, headers: undefined, exposeHeaders: ['ETag'] },
  ...{ supportsCredentials: true, maxAgeSeconds: 5 },
};

/** Headers that differ from one request to the next: times, upload sessions, random tokens. */
const VARYING = ['date', 'x-request-id', 'location', 'docker-upload-uuid', 'x-docker-token', 'www-authenticate'];

type Sent = { method: string; path: string; headers: Record<string, string> };
type Answer = { status: number | undefined; headers: IncomingHttpHeaders; body: string };

/** One request of each kind. */
async function requestsTo(client: V2Client): Promise<Sent[]> {
  const { digest, manifest } = await pushImage(client, REPOSITORY, 'latest', { contents: ['one'] });
  const { layers } = manifest as { layers: { digest: string }[] };
  const large = await client.pushBlob(REPOSITORY, new Uint8Array(100_000).fill(7));
  const inRepository = (path: string) => `/v2/${REPOSITORY}/${path}`;
  const [tagged, unknown] = [inRepository('manifests/latest'), inRepository('manifests/none')];
  const [small, big] = [layers[0]?.digest, large.digest].map((each) => inRepository(`blobs/${each}`));
  const requests: [string, string | undefined, Record<string, string>?][] = [
    ['GET', tagged],
    ['HEAD', tagged],
    ['GET', tagged, { 'If-None-Match': `"${digest}"` }],
    ['GET', tagged, { Origin: ORIGIN }],
    ['GET', inRepository(`manifests/${digest}`)],
    ['GET', unknown],
    ['HEAD', unknown],
    ['GET', small],
    ['HEAD', small],
    ['GET', small, { Range: 'bytes=1-3' }],
    ['GET', small, { Range: 'bytes=999999-' }],
    ['GET', big],
    ['GET', big, { Range: 'bytes=70000-' }],
    ['GET', '/v2/'],
    ['GET', '/v2/_catalog?n=1'],
    ['GET', inRepository('tags/list')],
    ['GET', inRepository(`referrers/${digest}`)],
    ['POST', inRepository('blobs/uploads/')],
    ['PUT', tagged],
    ['PUT', '/v2/'],
    ['OPTIONS', tagged, { Origin: ORIGIN, 'Access-Control-Request-Method': 'GET' }],
    ['OPTIONS', '*'],
    ['GET', '/v1/_ping'],
    ['GET', `/v1/repositories/${REPOSITORY}/tags`],
    ['GET', `/v1/repositories/${REPOSITORY}/images`],
    ['GET', '/', { Accept: 'text/html' }],
    ['GET', '/ui/'],
    ['GET', `/ui/r/${REPOSITORY}`],
    ['GET', '/ui/login'],
    ['GET', '/ui/none'],
    ['GET', '/healthz'],
    ['GET', '/nowhere'],
  ];
  return requests.map(([method, path = '', headers = {}]) => ({ method, path, headers }));
}

/** On a connection of its own. */
async function answerTo(server: URL, { method, path, headers }: Sent): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    request(server, { method, path, headers, agent: false })
      .on('error', reject)
      .on('response', async (response) => {
        const shown = Object.entries(response.headers).map(([name, value]) => [name, VARYING.includes(name) || value]);
        const { headers, body } = JSON.parse(
          JSON.stringify({ headers: Object.fromEntries(shown), body: await text(response) })
            .replace(/eyJ[\w-]+\.[\w-]{43}/g, 'a signed token')
            .replace(/(<time[^>]*>)[^<]*/g, '$1'),
        );
        resolve({ status: response.statusCode, headers, body });
      })
      .end();
  });
}

describe('a server with the classes of this project', () => {
  const { Headers, Response } = globalThis;
  const useNodeClasses = () => Object.assign(globalThis, { Headers, Response });
  after(useNodeClasses);

  for (const [title, settings] of [
    ['without CORS', {}],
    ['with CORS', { cors: CORS }],
  ] as const) {
    it(`answers as one with those of Node, ${title}`, async () => {
      const storage = await openFiles();
      const server = await startRegistry(storage.driver, {
        ...settings,
        pages: { allowsInsecureLogin: true, trustedKeys: [] },
      });
      try {
        const requests = await requestsTo(new V2Client(server.url));
        await server.idle();
        for (const sent of requests) {
          useNodeClasses();
          const expected = await answerTo(server.url, sent);
          useFetchClasses();
          assert.deepEqual(await answerTo(server.url, sent), expected, JSON.stringify(sent));
        }
      } finally {
        await server.stop();
        await storage.close();
      }
    });
  }
});
