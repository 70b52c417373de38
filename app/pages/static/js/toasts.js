/** Short messages over the picture, read out by screen readers; they go away by themselves or by a tap. */

import { part, t } from './page.js';

const STAYS_MS = 20_000;
const MOST = 3;

/** Show `text` under `title`. */
export function toast(title, text) {
  const box = document.createElement('div');
  const [head, body, close] = ['strong', 'span', 'button'].map((name) => document.createElement(name));
  box.className = 'toast';
  box.dataset.testid = 'toast';
  head.textContent = title;
  body.textContent = text;
  close.type = 'button';
  close.textContent = '×';
  close.setAttribute('aria-label', t('call.close'));
  close.addEventListener('click', () => box.remove());
  box.append(head, body, close);
  const toasts = part('toasts');
  toasts.append(box);
  [...toasts.children].slice(0, -MOST).forEach((old) => old.remove());
  setTimeout(() => box.remove(), STAYS_MS);
}
