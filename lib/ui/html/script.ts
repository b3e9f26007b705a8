/**
 * The script of all pages, a convenience: copies commands, `/` goes to the search, filters the rows of the page as one types, and
 * selects a range of rows. Every page works without it.
 */
export const SCRIPT = `'use strict';
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  event.preventDefault();
  document.querySelector('[role=search] input').focus();
});
for (const button of document.querySelectorAll('[data-copy]')) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector('code').textContent);
    const text = button.textContent;
    button.textContent = '✓';
    setTimeout(() => { button.textContent = text; }, 1500);
  });
}
const filter = document.querySelector('[data-filter]');
const rows = [...document.querySelectorAll('[data-names]')];
filter?.addEventListener('input', () => {
  const parts = filter.value.split('*').map((part) => part.replace(/[.*+?^\${}()|[\\]\\\\]/g, '\\\\$&'));
  const pattern = new RegExp(parts.length > 1 ? '^' + parts.join('.*') + '$' : parts[0]);
  for (const row of rows) row.hidden = !row.dataset.names.split(' ').some((name) => pattern.test(name));
});
let last;
const boxes = [...document.querySelectorAll('tbody input[type=checkbox]')];
for (const box of boxes) {
  box.addEventListener('click', (event) => {
    if (event.shiftKey && last) {
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
      for (const other of boxes.slice(from, to + 1)) if (!other.closest('[hidden]')) other.checked = box.checked;
    }
    last = box;
  });
}
`;
