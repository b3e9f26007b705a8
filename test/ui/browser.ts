// A browser without JavaScript, as far as the pages need one: cookies, links, forms.
import assert from 'node:assert/strict';

export type Page = { response: Response; status: number; text: string };
type Fields = [name: string, value: string][];

export class Browser {
  readonly url: URL;
  readonly cookies = new Map<string, string>();

  constructor(url: URL) {
    this.url = url;
  }

  /** Opens a page, and follows redirects to others. */
  async open(path: string, headers: Record<string, string> = {}): Promise<Page> {
    return await this.#follow(await this.#send('GET', path, { headers }));
  }

  /** Sends a form as a page of this origin does, and follows the redirect. */
  async submit(path: string, fields: Fields, headers: Record<string, string> = {}): Promise<Page> {
    return await this.#follow(await this.post(path, fields, headers));
  }

  /** As `submit`, without following a redirect. */
  async post(path: string, fields: Fields, headers: Record<string, string> = {}): Promise<Response> {
    return await this.#send('POST', path, {
      body: new URLSearchParams(fields),
      headers: { Origin: this.url.origin, 'Sec-Fetch-Site': 'same-origin', ...headers },
    });
  }

  /** Logs in by the form, with the password of `openTestAuth`. */
  async login(name: string, password = `${name}-password`, to = '/ui/'): Promise<Page> {
    const { text } = await this.open(`/ui/login?${new URLSearchParams({ to })}`);
    return await this.submit('/ui/login', [...hiddenFields(text), ['name', name], ['password', password]]);
  }

  async #follow(response: Response): Promise<Page> {
    const location = response.headers.get('Location');
    if (location === null) return { response, status: response.status, text: await response.text() };
    const url = new URL(location, this.url);
    assert.equal(url.origin, this.url.origin, 'pages lead to this origin only');
    return await this.open(url.pathname + url.search);
  }

  async #send(method: string, path: string, init: RequestInit): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...(cookie && { Cookie: cookie }), ...(init.headers as Record<string, string>) };
    const response = await fetch(new URL(path, this.url), { ...init, method, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      this.cookies.set(name, value);
    }
    return response;
  }
}

/** The hidden fields of the last form on a page that has a token. */
export function hiddenFields(text: string): Fields {
  const forms = text.split('<form').filter((form) => form.includes('name="token"'));
  const form = (forms.at(-1) ?? '').split('</form>')[0] ?? '';
  return [...form.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name = '', value = '']) => [
    name,
    textOf(value),
  ]);
}

/** The token of some form of a page. */
export function tokenOf(text: string): string {
  return hiddenFields(text).find(([name]) => name === 'token')?.[1] ?? assert.fail('the page has no form');
}

function textOf(text: string): string {
  const characters: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };
  return text.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, (entity) => characters[entity] ?? entity);
}
