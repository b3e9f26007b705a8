import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Hono } from 'hono';
import { requestId } from 'hono/request-id';
import { Gate } from '../../lib/auth/gate.ts';
import { RequestLimits } from '../../lib/auth/request-limits.ts';
import { type ErrorCode, RegistryError } from '../../lib/model/errors.ts';
import { createLog } from '../../lib/model/log.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import { StorageUnavailableError } from '../../lib/storage/driver.ts';
import { errorPage } from '../../lib/ui/pages/errors.ts';
import { Ui } from '../../lib/ui/pages/ui.ts';
import { FormRefused } from '../../lib/ui/session/forms.ts';
import { setPageOrigin } from '../../lib/ui/session/sessions.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { TEST_KEYS } from '../support/registry-server.ts';

describe('an error on a page', () => {
  const logged: string[] = [];
  const log = createLog('error', (line) => logged.push(line) > 0);
  const ui = new Ui({
    registry: assembleRegistry(new MemoryStorage(), { copiesLayers: false }),
    auth: { gate: Gate.forOpenRegistry(), limits: new RequestLimits() },
    keys: TEST_KEYS,
    publicUrl: undefined,
    isReadOnly: false,
    allowsInsecureLogin: false,
    storageRedirect: false,
    trustedKeys: [],
  });
  const answerTo = async (error: Error, method = 'GET') => {
    const app = new Hono().use(requestId()).all('*', (c) => {
      setPageOrigin(c, 'http://localhost');
      throw error;
    });
    app.onError((thrown, c) => errorPage(ui, c, thrown, log));
    return await app.request('/ui/r/a?b=c', { method });
  };

  for (const [code, status, title] of [
    ['NAME_UNKNOWN', 404, 'Not found'],
    ['DENIED', 403, 'Not allowed'],
    ['NAME_INVALID', 400, 'Invalid request'],
    ['UNSUPPORTED', 405, 'Read-only'],
    ['SIZE_INVALID', 413, 'Invalid request'],
    ['TOOMANYREQUESTS', 429, 'Busy'],
    ['UNAVAILABLE', 503, 'Busy'],
    ['UNKNOWN', 500, 'Something failed'],
  ] as const satisfies [ErrorCode, number, string][]) {
    it(`with the code ${code} has the status ${status}, and says what to do`, async () => {
      const response = await answerTo(new RegistryError(code, 'a reason'));
      assert.equal(response.status, status);
      assert.match(await response.text(), new RegExp(`<h1>${title}</h1>`));
    });
  }

  it('for lack of a login leads to the login, and back to the page', async () => {
    const error = new RegistryError('UNAUTHORIZED', 'log in');
    const response = await answerTo(error);
    assert.deepEqual([response.status, response.headers.get('Location')], [303, '/ui/login?to=%2Fui%2Fr%2Fa%3Fb%3Dc']);
    assert.equal((await answerTo(error, 'POST')).status, 401, 'a form is not sent again by itself');
  });

  it('of storage is one that may pass, of a form one to repeat, and of the program one that the log explains', async () => {
    assert.equal((await answerTo(new StorageUnavailableError('no answer'))).status, 503);
    assert.equal((await answerTo(new FormRefused('of another session'))).status, 403);
    logged.length = 0;
    const response = await answerTo(new Error('a secret of the program'));
    const text = await response.text();
    assert.equal(response.status, 500);
    assert.ok(!text.includes('a secret'));
    assert.ok(logged.join().includes('a secret of the program'));
    assert.ok(text.includes(response.headers.get('X-Request-Id') ?? '-'));
  });
});
