// The rules for the modules of our pages. Formatting is left to reading; faults are not.
const js = require('@eslint/js');
const globals = require('globals');

const SOURCES = 'app/pages/static/js';

module.exports = [
  { ignores: ['**/*', `!${SOURCES.split('/')[0]}/`, '!app/pages/', '!app/pages/static/', `!${SOURCES}/`, `!${SOURCES}/**`, '!eslint.config.js'] },
  js.configs.recommended,
  {
    files: [`${SOURCES}/*.js`],
    languageOptions: { ecmaVersion: 2022, sourceType: 'module', globals: globals.browser },
    rules: {
      curly: 'error',
      eqeqeq: 'error',
      'max-depth': ['error', 3],
      'max-lines': ['error', 300],
      'max-lines-per-function': ['error', 40],
      'no-console': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-shadow': 'error',
      'no-var': 'error',
      'object-shorthand': 'error',
      'prefer-const': 'error',
      'prefer-template': 'error',
      // Every sentence and name is put in as text: nothing a person typed may become markup.
      'no-restricted-properties': ['error', ...['innerHTML', 'outerHTML', 'insertAdjacentHTML'].map((property) => ({ property }))],
    },
  },
  {
    files: [`${SOURCES}/old-browser.js`],
    languageOptions: { ecmaVersion: 5, sourceType: 'script' },
    rules: { 'no-var': 'off', 'object-shorthand': 'off', 'prefer-const': 'off' },
  },
  {
    files: ['eslint.config.js'],
    languageOptions: { sourceType: 'commonjs', globals: globals.node },
  },
];
