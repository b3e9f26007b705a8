import assert from 'node:assert/strict';
import { payloadSum, type V1Image } from '../support/v1-client.ts';
import { type Answer, assertError } from './send.ts';
import type { TestRegistry, TestStorage } from './use-registry.ts';

/** The calls that push an image, one by one, and what readers get in between. */
export type ImageCalls = {
  putJson(id: string, body: string | Uint8Array, headers?: Record<string, string>): Promise<Answer>;
  putLayer(id: string, body: string | Uint8Array, isChunked?: boolean): Promise<Answer>;
  putChecksum(id: string, headers: Record<string, string>): Promise<Answer>;
  /** PUT checksum with the right checksum. */
  confirm(image: V1Image): Promise<Answer>;
  hasMark(id: string): Promise<boolean>;
  assertHidden(id: string): Promise<void>;
  assertReadable(image: V1Image): Promise<void>;
};

export function imageCalls(storage: TestStorage, registry: TestRegistry): ImageCalls {
  const putChecksum = (id: string, headers: Record<string, string>) =>
    registry.send('PUT', `/v1/images/${id}/checksum`, { headers });
  return {
    putJson: (id, body, headers = {}) => registry.send('PUT', `/v1/images/${id}/json`, { body, headers }),
    putLayer: (id, body, isChunked = true) => registry.send('PUT', `/v1/images/${id}/layer`, { body, isChunked }),
    putChecksum,
    confirm: ({ id, json, layer }) => putChecksum(id, { 'X-Docker-Checksum-Payload': payloadSum(json, layer) }),
    hasMark: async (id) => (await storage.textOf(`images/${id}/_inprogress`)) !== undefined,
    async assertHidden(id) {
      for (const part of ['json', 'ancestry', 'layer']) {
        assertError(
          await registry.send('GET', `/v1/images/${id}/${part}`),
          400,
          'Image is being uploaded, retry later',
        );
      }
    },
    async assertReadable({ id, json, layer }) {
      const [gotJson, gotLayer] = [
        await registry.send('GET', `/v1/images/${id}/json`),
        await registry.send('GET', `/v1/images/${id}/layer`),
      ];
      assert.deepEqual([gotJson.status, gotLayer.status], [200, 200]);
      assert.ok(gotJson.bytes.equals(json), 'json');
      assert.ok(gotLayer.bytes.equals(layer), 'layer');
      assert.equal(gotJson.header('X-Docker-Size'), String(layer.length));
      assert.deepEqual(gotJson.lines('X-Docker-Checksum-Payload'), [payloadSum(json, layer)]);
    },
  };
}
