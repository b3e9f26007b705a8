import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { parsePrivilegedKey } from '../../lib/v1/signature.ts';
import { payloadSum } from '../support/v1-client.ts';
import { useFakeIndex } from './fake-index.ts';
import { assertUnauthorized, type Sent } from './send.ts';
import { newImage, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** Requests with `X-Signature`, signed by the operator's tools. */
export function v1SignatureSuite(name: string, open: OpenStorage): void {
  describe(`v1 X-Signature on ${name}`, () => {
    const storage = useStorage(open);
    const index = useFakeIndex();
    const standalone = useRegistry(storage);
    const image = newImage();
    before(async () => {
      await standalone.push(image);
      await standalone.tag('a/c', 'latest', image.id);
    });

    const keys = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    const signed = useRegistry(storage, {
      settings: () => ({
        isStandalone: false,
        indexAccess: { indexEndpoint: index.endpoint, privilegedKey: parsePrivilegedKey(keys.publicKey) },
      }),
    });
    const signature = (message: string) =>
      sign('sha1', Buffer.from(message), createPrivateKey(keys.privateKey)).toString('base64');
    const PATH = '/v1/repositories/a/c/tags';
    const get = (path: string, sent: Sent) => signed.send('GET', path, sent);

    it('of method and path is accepted without a request to the index', async () => {
      index.asked.length = 0;
      const headers = { 'X-Signature': `data=${signature(`GET,${PATH}`)}` };
      assert.equal((await get(PATH, { headers })).status, 200);
      assert.equal((await get(`${PATH}?x=y`, { headers })).status, 200, 'the query is not signed');
      assert.deepEqual(index.asked, []);
    });

    it('covers the headers that begin with X-Docker, in their order', async () => {
      const docker = { 'X-Docker-Token': 'true', 'X-Docker-Endpoints': 'r1, r2' };
      const message = `GET,${PATH},X-Docker-Endpoints:r1, r2,X-Docker-Token:true`;
      const headers = { ...docker, 'X-Signature': `keyid=1;data=${signature(message)};x=y` };
      assert.equal((await get(PATH, { headers })).status, 200);
      const other = { ...headers, 'X-Docker-Token': 'false' };
      assertUnauthorized(await get(PATH, { headers: other }));
    });

    it('pushes a whole image', async () => {
      const own = newImage({ parent: image });
      const sum = { 'X-Docker-Checksum-Payload': payloadSum(own.json, own.layer) };
      for (const [part, body, docker] of [
        ['json', own.json, {}],
        ['layer', own.layer, {}],
        ['checksum', '', sum],
      ] as const) {
        const path = `/v1/images/${own.id}/${part}`;
        const message = ['PUT', path, ...Object.entries(docker).map(([header, value]) => `${header}:${value}`)].join();
        const headers = { ...docker, 'X-Signature': `data=${signature(message)}` };
        assert.equal((await signed.send('PUT', path, { body, headers })).status, 200);
      }
    });

    const bad: [title: string, value: () => string][] = [
      ['of another method', () => `data=${signature(`PUT,${PATH}`)}`],
      ['of another path', () => `data=${signature('GET,/v1/repositories/a/b/tags')}`],
      ['x', () => 'x'],
      ['without data', () => 'keyid=1;x=y'],
      ['with empty data', () => 'data='],
      ['with data that is no base64', () => 'data=***'],
      ['with short data', () => 'data=AAAA'],
      ['of nothing but separators', () => ';;=;=='],
    ];
    for (const [title, value] of bad) {
      it(`${title} is refused with 401, not a server error`, async () => {
        assertUnauthorized(await get(PATH, { headers: { 'X-Signature': value() } }));
      });
    }

    it('is not needed with a token that the index accepts', async () => {
      index.answer = () => ({ status: 200, body: '[]' });
      const headers = { Authorization: 'Token signature=X,repository="a/c",access=read' };
      assert.equal((await get(PATH, { headers })).status, 200);
    });
  });
}
