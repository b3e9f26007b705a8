import type { Context, MiddlewareHandler } from 'hono';
import { readBody } from '../../http/request.ts';
import { RegistryError } from '../../model/errors.ts';
import { decodeText, KiB } from '../../streams/bytes.ts';
import { pageOrigin, type Sessions } from './sessions.ts';

/** More than the longest form: 100 tags of 247 bytes, percent-encoded. */
const MAX_FORM_BYTES = 128 * KiB;

const FORM = 'ui form';

/** A form that was not made for this session, or was sent by a page of another origin. */
export class FormRefused extends Error {}

/**
 * Admits forms of this session's own pages: their token is bound to the session, and browsers say which origin they come from.
 * `formOf` then has the fields.
 * @see https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
 */
export function allowForm(sessions: Sessions): MiddlewareHandler {
  return async (c, next) => {
    const type = c.req.header('Content-Type') ?? '';
    if (!type.startsWith('application/x-www-form-urlencoded')) {
      throw new RegistryError('UNSUPPORTED', 'a form is sent as application/x-www-form-urlencoded');
    }
    const site = c.req.header('Sec-Fetch-Site');
    if (c.req.header('Origin') !== pageOrigin(c) || (site !== undefined && site !== 'same-origin')) {
      throw new FormRefused('the form comes from another origin');
    }
    const form = new URLSearchParams(decodeText(await readBody(c, MAX_FORM_BYTES, 'the form')));
    if (!sessions.isFormToken(c, form.get('token') ?? '')) throw new FormRefused('the form is of another session');
    c.set(FORM, form);
    await next();
  };
}

/** The fields of the form that `allowForm` has admitted. */
export function formOf(c: Context): URLSearchParams {
  return c.get(FORM) as URLSearchParams;
}
