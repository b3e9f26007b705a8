import { Hono } from 'hono';
import { NOT_CACHED } from '../http/error-response.ts';
import { readBody } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import { parseJson } from '../model/json.ts';
import { KiB } from '../streams/bytes.ts';
import { answer } from './answers.ts';
import type { V1Options } from './options.ts';

const MAX_USER_BYTES = 64 * KiB;

/**
 * `docker login` of v1 clients. An open registry accepts any name and password. With users, docker first posts the account
 * without a login; the 401 makes it repeat the request with the login.
 */
export const userRoutes = ({ gate }: V1Options) =>
  new Hono()
    .get('/users', gate.requireLogin, (c) => answer(c, 'OK'))
    .get('/users/', gate.requireLogin, (c) => answer(c, 'OK'))
    .on('POST', ['/users', '/users/'], gate.requireLogin, async (c) => {
      const bytes = await readBody(c, MAX_USER_BYTES, 'the user');
      if (parseJson(bytes) === undefined) throw new RegistryError('INDEX_INVALID', 'Error Decoding JSON');
      return answer(c, 'User Created', { status: 201 });
    })
    .put('/users/:username/', gate.requireLogin, (c) => c.body(null, 204, NOT_CACHED));
