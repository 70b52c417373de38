/** What the server put into the page: facts of this visit and the sentences of its language. */

const read = (id) => JSON.parse(document.getElementById(id).textContent);

export const facts = read('page-data');
export const language = document.documentElement.lang;
const texts = read('page-texts');

/**
 * The sentence for `key`, with `{name}` places filled.
 * An unknown key is a fault of ours: it throws, so that a test sees it before a patient does.
 */
export function t(key, values = {}) {
  if (!(key in texts)) {
    throw new Error(`No text for ${key}`);
  }
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** The element that plays `name` in this page. */
export const part = (name) => document.querySelector(`[data-part="${name}"]`);

/** The button that does `name` in this page. */
export const button = (name) => document.querySelector(`[data-action="${name}"]`);
