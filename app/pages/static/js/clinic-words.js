/** How the clinic's page says times and states. Times are the hospital's, wherever the reader is. */

import { language, t } from './page.js';

const MINUTE_MS = 60_000;
const locale = navigator.languages.find((name) => name.split('-')[0] === language) ?? language;
const STATES = {
  scheduled: 'clinic.scheduled',
  arrived: 'clinic.arrived',
  in_progress: 'clinic.in-progress',
  completed: 'clinic.completed',
  cancelled: 'clinic.cancelled',
  no_show: 'clinic.no-show',
};

/** A time of day. */
export const timeOf = (moment, timeZone) => new Intl.DateTimeFormat(locale, { timeStyle: 'short', timeZone }).format(new Date(moment));

/** A day, in full. */
export const dayTitle = (day) => new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeZone: 'UTC' }).format(new Date(day));

/** When a visit is planned. */
export function planned({ start, end }, timeZone) {
  return `${timeOf(start, timeZone)} – ${timeOf(end, timeZone)}`;
}

/** Where a visit stands, in a word or two, and how urgent that is. */
export function standing(visit) {
  if (visit.people.some((person) => person.waiting_since)) {
    return { text: t('clinic.waiting'), tone: 'urgent' };
  }
  if (visit.overrun_s > 0) {
    return { text: t('clinic.overrun', { count: Math.ceil(visit.overrun_s / 60) }), tone: 'urgent' };
  }
  if (visit.people.some((person) => person.late)) {
    return { text: t('clinic.late'), tone: 'urgent' };
  }
  const running = visit.status === 'arrived' || visit.status === 'in_progress';
  return { text: t(STATES[visit.status]), tone: running ? 'live' : 'calm' };
}

/** What else is to be known of a visit, a sentence each. */
export function notes({ people }, { as_of, timezone }) {
  const names = (those) => those.map((person) => person.display_name).join(', ');
  const late = people.filter((person) => person.late);
  const inside = people.filter((person) => person.inside);
  return [
    ...people.filter((person) => person.waiting_since).map((person) => t('clinic.waits-since', {
      name: person.display_name,
      time: timeOf(person.waiting_since, timezone),
      count: Math.floor((Date.parse(as_of) - Date.parse(person.waiting_since)) / MINUTE_MS),
    })),
    ...(late.length ? [t('clinic.is-late', { names: names(late) })] : []),
    ...(inside.length ? [t('clinic.inside', { names: names(inside) })] : []),
  ];
}
