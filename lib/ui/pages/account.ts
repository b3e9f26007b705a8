import { type Context, Hono } from 'hono';
import { claimed } from '../../auth/audit.ts';
import { OIDC_USER } from '../../auth/callers/caller.ts';
import { clientAddressOf } from '../../http/client-address.ts';
import { RegistryError } from '../../model/errors.ts';
import { html, NOTHING } from '../html/html.ts';
import { TEXTS } from '../html/texts.ts';
import { allowForm, formOf } from '../session/forms.ts';
import { returnPath } from '../session/return-path.ts';
import { pageOrigin } from '../session/sessions.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.login;

/** Login and logout. */
export const accountRoutes = (ui: Ui) =>
  new Hono()
    .get('/ui/login', (c) => {
      if (!ui.login) return c.redirect('/ui/', 303);
      return showForm(ui, c, { to: returnPath(c.req.query('to')) });
    })

    .post('/ui/login', allowForm(ui.sessions), async (c) => {
      const { login } = ui;
      if (!login) return c.redirect('/ui/', 303);
      const form = formOf(c);
      const to = returnPath(form.get('to'));
      if (!isSafe(ui, c)) return showForm(ui, c, { to, problem: T.insecure }, 403);
      const name = form.get('name') ?? '';
      // Such a token is valid for minutes, and a session would outlive it by hours.
      if (name === OIDC_USER) return showForm(ui, c, { to, problem: T.oidc }, 403);
      try {
        const caller = await ui.gate.withChallenge(c, claimed(name), () =>
          login.authenticator.login(name, form.get('password') ?? '', clientAddressOf(c)),
        );
        ui.sessions.begin(c, await login.authenticator.holderOf(caller));
        return c.redirect(to, 303);
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        if (error.code === 'UNAUTHORIZED') return showForm(ui, c, { to, name, problem: T.wrong }, 401);
        if (error.code === 'TOOMANYREQUESTS') return showForm(ui, c, { to, name, problem: T.tooMany }, 429);
        throw error;
      }
    })

    .post('/ui/logout', allowForm(ui.sessions), (c) => {
      ui.sessions.begin(c);
      return c.redirect('/ui/', 303);
    });

/** Whether a password may be sent to this origin: over TLS, or within this machine. */
function isSafe({ allowsInsecureLogin }: Ui, c: Context): boolean {
  const { protocol, hostname } = new URL(pageOrigin(c));
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);
  return protocol === 'https:' || isLoopback || allowsInsecureLogin;
}

function showForm(
  ui: Ui,
  c: Context,
  { to, name = '', problem }: { to: string; name?: string; problem?: string },
  status: 200 | 401 | 403 | 429 = 200,
) {
  const shown = problem ?? (isSafe(ui, c) ? undefined : T.insecure);
  const content = html`<form class="login" method="post" action="/ui/login">
<h1>${T.title}</h1>
${shown === undefined ? NOTHING : html`<p class="problem" role="alert">${shown}</p>`}
<input type="hidden" name="token" value="${ui.sessions.formToken(c)}"><input type="hidden" name="to" value="${to}">
<label>${T.name}<input name="name" value="${name}" autocomplete="username" autocapitalize="none" required></label>
<label>${T.password}<input name="password" type="password" autocomplete="current-password" required></label>
<p class="muted">${T.robot}</p>
<button class="primary">${T.button}</button>
</form>`;
  return ui.show(c, { title: T.title, content }, status);
}
