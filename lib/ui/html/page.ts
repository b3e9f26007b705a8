import { type Html, html, NOTHING } from './html.ts';
import { TEXTS } from './texts.ts';

/** What every page shows around its content. */
export type Frame = {
  /** The caller's name; undefined without a login. */
  user: string | undefined;
  /** Absent where there is no login at all. */
  login?: { path: string; formToken: () => string };
  /** Whether the caller sees what only operators may. */
  isOperator: boolean;
  query?: string;
  assets: { style: string; script: string };
};

export type Crumb = { text: string; path?: string };

/** A whole page. @param options.title of the window; the product's name is added */
export function page(
  frame: Frame,
  { title, crumbs = [], content }: { title: string; crumbs?: readonly Crumb[]; content: Html },
): Html {
  return html`<!doctype html>
<html lang="${TEXTS.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · ${TEXTS.product}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${frame.assets.style}">
<script src="${frame.assets.script}" defer></script>
</head>
<body>
<a class="skip" href="#content">${TEXTS.skip}</a>
<header class="top">
<a class="brand" href="/ui/">${TEXTS.product}</a>
<form role="search" action="/ui/" method="get"><input type="search" name="q" value="${frame.query ?? ''}" placeholder="${TEXTS.search.placeholder}" aria-label="${TEXTS.search.label}"></form>
<nav aria-label="${TEXTS.nav.account}">${frame.isOperator ? html`<a href="/ui/usage">${TEXTS.nav.usage}</a>` : NOTHING}${accountHtml(frame)}</nav>
</header>
<main id="content">
${crumbs.length > 0 ? crumbsHtml(crumbs) : NOTHING}
${content}
</main>
</body>
</html>`;
}

function accountHtml({ user, login }: Frame): Html {
  if (!login) return NOTHING;
  if (user === undefined) return html`<a href="${login.path}">${TEXTS.nav.login}</a>`;
  return html`<span>${user}</span><form method="post" action="/ui/logout"><input type="hidden" name="token" value="${login.formToken()}"><button>${TEXTS.nav.logout}</button></form>`;
}

function crumbsHtml(crumbs: readonly Crumb[]): Html {
  const items = crumbs.map(({ text, path }) =>
    path === undefined ? html`<li>${text}</li>` : html`<li><a href="${path}">${text}</a></li>`,
  );
  return html`<nav class="crumbs" aria-label="${TEXTS.nav.breadcrumbs}"><ol>${items}</ol></nav>`;
}
