import { Hono } from 'hono';
import { KiB, readAtMost } from '../bytes.ts';
import { NOT_CACHED } from '../error-response.ts';
import { RegistryError } from '../errors.ts';
import { bodyOf } from '../http.ts';
import { parseJson } from '../json.ts';
import { answer } from './answers.ts';

const MAX_USER_BYTES = 64 * KiB;

/** `docker login` of old clients. Nothing is checked here: an open registry takes any name and password. */
export const userRoutes = () =>
  new Hono()
    .get('/users', (c) => answer(c, 'OK'))
    .get('/users/', (c) => answer(c, 'OK'))
    .on('POST', ['/users', '/users/'], async (c) => {
      const bytes = await readAtMost(bodyOf(c), MAX_USER_BYTES, 'the user');
      if (parseJson(bytes) === undefined) throw new RegistryError('INDEX_INVALID', 'Error Decoding JSON');
      return answer(c, 'User Created', { status: 201 });
    })
    .put('/users/:username/', (c) => c.body(null, 204, NOT_CACHED));
