/** Asking somebody whether they may be recorded, before the call or on a page of its own. */

import { button, language, part, t } from './page.js';
import { answerConsent, requestConsent } from './service.js';
import { showConsent, showNotice } from './views.js';

let wired = false;
let settle = () => {};
let sha = '';
let where = 'page';

/**
 * Show the question until it is answered.
 * @param {'page'|'link'} channel 'link' on the page that only asks.
 * @returns {Promise<'given'|'refused'>}
 */
export async function askConsent(channel = 'page') {
  wire();
  where = channel;
  part('consent-text').textContent = t('consent.loading');
  say('');
  sha = '';
  showConsent();
  const answered = new Promise((resolve) => { settle = resolve; });
  await load();
  return answered;
}

/** The page behind a personal consent link: ask, thank, and ask again whenever wanted. */
export async function startConsentPage() {
  await askConsent('link');
  showNotice('consent-said', { 'answer-again': startConsentPage });
}

function wire() {
  if (!wired) {
    wired = true;
    button('agree').addEventListener('click', () => answer('given'));
    button('refuse').addEventListener('click', () => answer('refused'));
  }
}

/** Nobody answers a text they cannot read yet; where it does not come, a press asks for it again. */
async function load() {
  enable(false);
  const question = await requestConsent(language, where);
  enable(true);
  if (question) {
    sha = question.sha256;
    part('consent-text').textContent = question.text;
  } else {
    say(t('consent.failed'));
  }
}

async function answer(act) {
  if (!sha) {
    await load();
    return;
  }
  if (await answerConsent(act, sha, where)) {
    settle(act);
    return;
  }
  // Perhaps the text was replaced just now.
  say(t('consent.failed'));
  await load();
}

function enable(able) {
  button('agree').disabled = !able;
  button('refuse').disabled = !able;
}

function say(text) {
  part('consent-problem').textContent = text;
}
