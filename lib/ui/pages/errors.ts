import type { Context } from 'hono';
import { isServerError, STATUS } from '../../http/error-response.ts';
import { RegistryError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import { StorageUnavailableError } from '../../storage/driver.ts';
import { html, NOTHING } from '../html/html.ts';
import { TEXTS } from '../html/texts.ts';
import { FormRefused } from '../session/forms.ts';
import type { Ui } from './ui.ts';

type Text = { title: string; advice: string };

/** Answers an error by a page. A caller without a login who lacks a right is sent to the login. */
export function errorPage(ui: Ui, c: Context, error: Error, log: Log): Response | Promise<Response> {
  const code = error instanceof RegistryError ? error.code : undefined;
  if (code === 'UNAUTHORIZED' && c.req.method === 'GET') {
    const { pathname, search } = new URL(c.req.url);
    return c.redirect(`/ui/login?${new URLSearchParams({ to: pathname + search })}`, 303);
  }
  const fields = { requestId: c.get('requestId'), path: c.req.path };
  if (c.req.raw.signal.aborted) log.info('client went away', { ...fields, reason: error.message });
  else if (isServerError(error) && !(error instanceof FormRefused)) log.error('page failed', { ...fields, error });
  const { text, status, detail } = aboutError(error);
  const id = status === 500 ? html` <code>${c.get('requestId') as string}</code>` : NOTHING;
  return ui.show(
    c,
    {
      title: text.title,
      content: html`<h1>${text.title}</h1>
<div class="panel empty"><p>${text.advice}${id}</p>${detail ? html`<p>${detail}</p>` : NOTHING}<p><a href="/ui/">${TEXTS.errors.home}</a></p></div>`,
    },
    status,
  );
}

function aboutError(error: Error): {
  text: Text;
  status: 400 | 401 | 403 | 404 | 405 | 413 | 429 | 500 | 503;
  detail?: string;
} {
  const { errors } = TEXTS;
  if (error instanceof FormRefused) return { text: errors.form, status: 403 };
  if (error instanceof StorageUnavailableError) return { text: errors.busy, status: 503 };
  if (!(error instanceof RegistryError)) return { text: errors.failed, status: 500 };
  const detail = error.message;
  switch (STATUS[error.code]) {
    case 401:
      return { text: errors.denied, status: 401, detail };
    case 403:
      return { text: errors.denied, status: 403, detail };
    case 404:
      return { text: errors.notFound, status: 404 };
    case 405:
      return { text: error.code === 'UNSUPPORTED' ? errors.readOnly : errors.invalid, status: 405, detail };
    case 413:
      return { text: errors.invalid, status: 413, detail };
    case 429:
      return { text: errors.busy, status: 429, detail };
    case 500:
      return { text: errors.failed, status: 500 };
    case 503:
      return { text: errors.busy, status: 503 };
    default:
      return { text: errors.invalid, status: 400, detail };
  }
}
