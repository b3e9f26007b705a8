import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { payloadSum, type V1Image } from '../support/v1-client.ts';
import {
  newImage,
  newRepository,
  type OpenStorage,
  type TestRegistry,
  useRegistry,
  useStorage,
} from './use-registry.ts';

/** Access to a standalone registry without `auth`. */
export function v1OpenRegistrySuite(name: string, open: OpenStorage): void {
  describe(`a standalone v1 registry on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);

    for (const authorization of [
      'Basic Og==',
      'Token',
      'Token Token signature=X,repository="a/b",access=read',
      undefined,
    ]) {
      it(`a standalone registry accepts all calls with ${authorization ?? 'no Authorization'}`, async () => {
        const [image, repository] = [newImage(), newRepository()];
        await replayAllCalls(registry, image, repository, authorization ? { Authorization: authorization } : {});
      });
    }
  });
}

/** Every call that Docker makes, from login to delete. */
async function replayAllCalls(
  { send }: TestRegistry,
  { id, json, layer }: V1Image,
  repository: string,
  headers: Record<string, string>,
): Promise<void> {
  const sum = { 'X-Docker-Checksum-Payload': payloadSum(json, layer) };
  const list = JSON.stringify([{ id }]);
  for (const [method, path, status, sent] of [
    ['GET', '/v1/_ping', 200, {}],
    ['GET', '/v1/users/', 200, {}],
    ['POST', '/v1/users/', 201, { body: '{}' }],
    ['PUT', `/v1/repositories/${repository}/`, 200, { body: list }],
    ['GET', `/v1/images/${id}/json`, 404, {}],
    ['PUT', `/v1/images/${id}/json`, 200, { body: json }],
    ['PUT', `/v1/images/${id}/layer`, 200, { body: layer, isChunked: true }],
    ['PUT', `/v1/images/${id}/checksum`, 200, { headers: sum }],
    ['PUT', `/v1/repositories/${repository}/tags/latest`, 200, { body: JSON.stringify(id) }],
    ['PUT', `/v1/repositories/${repository}/images`, 204, { body: '[]' }],
    ['GET', `/v1/repositories/${repository}/images`, 200, {}],
    ['GET', `/v1/repositories/${repository}/tags`, 200, {}],
    ['GET', `/v1/repositories/${repository}/tags/latest`, 200, {}],
    ['GET', `/v1/repositories/${repository}/tags/latest/json`, 200, {}],
    ['GET', `/v1/repositories/${repository}/json`, 200, {}],
    ['GET', `/v1/repositories/${repository}/properties`, 200, {}],
    ['GET', `/v1/images/${id}/json`, 200, {}],
    ['GET', `/v1/images/${id}/ancestry`, 200, {}],
    ['GET', `/v1/images/${id}/layer`, 200, {}],
    ['PUT', `/v1/repositories/${repository}/properties`, 200, { body: '{"access":"public"}' }],
    ['DELETE', `/v1/repositories/${repository}/tags/latest`, 200, {}],
    ['DELETE', `/v1/repositories/${repository}/images`, 204, {}],
    ['DELETE', `/v1/repositories/${repository}/`, 200, {}],
  ] as const) {
    const answer = await send(method, path, {
      ...sent,
      headers: { ...headers, ...('headers' in sent && sent.headers) },
    });
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  }
}
