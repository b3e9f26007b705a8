import { isJsonWithin } from '../../model/json.ts';
import { decodeText, encodeText, KiB } from '../../streams/bytes.ts';
import type { ImageDetails } from '../data/image-details.ts';
import { type Html, html, NOTHING } from '../html/html.ts';
import { TEXTS } from '../html/texts.ts';

const T = TEXTS.image;

/** Longer texts are cut on a page: the whole is one request away, by the registry's API. */
const MAX_RAW_CHARACTERS = 256 * KiB;

/** The manifest as JSON, and the config of an image. */
export function rawHtml({ bytes, config, digest }: ImageDetails): Html {
  return html`<h2>${T.rawManifest}</h2><p class="muted"><code>${digest}</code></p><div class="panel"><pre tabindex="0">${pretty(decodeText(bytes))}</pre></div>
${config ? html`<h2>${T.rawConfig}</h2><div class="panel"><pre tabindex="0">${pretty(JSON.stringify(config))}</pre></div>` : NOTHING}`;
}

/** JSON of more values, or of deeper ones, is shown as it is: lines with indents would take a hundred times its size. */
const MAX_INDENTED = { maxValues: 20_000, maxDepth: 32 };

/** JSON with line breaks; as it is if it has them. */
function pretty(text: string): string {
  const isShort = !text.includes('\n') && isJsonWithin(encodeText(text), MAX_INDENTED);
  return limited(isShort ? JSON.stringify(JSON.parse(text), null, 2) : text);
}

function limited(text: string): string {
  return text.length > MAX_RAW_CHARACTERS ? `${text.slice(0, MAX_RAW_CHARACTERS)}\n… ${T.tooLarge}` : text;
}
