import { type Html, html, NOTHING } from './html.ts';

/** The heading of a column, empty for one of buttons. `num` holds numbers; a narrow screen shows no `opt`. */
export type Column = string | readonly [heading: string, classes: 'num' | 'opt' | 'num opt'];

/**
 * A table in a panel that scrolls where it is wider than the screen, also by the keyboard.
 * @param label names the panel for screen readers
 * @param rows elements `tr`
 */
export function tableHtml(label: string, columns: readonly Column[], rows: readonly Html[]): Html {
  return html`<div class="panel" tabindex="0" role="region" aria-label="${label}"><table>
<thead><tr>${columns.map(headingHtml)}</tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function headingHtml(column: Column): Html {
  const [heading, classes] = typeof column === 'string' ? [column, undefined] : column;
  if (heading === '') return html`<td></td>`;
  return html`<th scope="col"${classes === undefined ? NOTHING : html` class="${classes}"`}>${heading}</th>`;
}
