// The page's texts, and how numbers, times and durations are written in its language.

import { $ } from "./dom.js";

export const texts = JSON.parse($("texts").textContent);
export const language = document.documentElement.lang;

const timeZone = document.documentElement.dataset.zone;
const clock = new Intl.DateTimeFormat(language, { timeZone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const brief = new Intl.DateTimeFormat(language, { timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(language, { timeZone, day: "numeric", month: "short" });
const plural = new Intl.PluralRules(language);

/** A text with `{name}` places filled in. */
export function say(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** `say` with the form that the number asks for: keys `<key>_one`, `_few`, `_many`, `_other`. */
export function count(key, number) {
  const form = `${key}_${plural.select(number)}`;
  return say(texts[form] ? form : `${key}_other`, { n: number });
}

/** Epoch seconds as a time of day on the portal's clock, with the day when it is not today's. `exact`: with seconds. */
export function moment(seconds, exact = true) {
  const when = new Date(seconds * 1000);
  const time = (exact ? clock : brief).format(when);
  return day.format(when) === day.format(new Date()) ? time : `${day.format(when)} ${time}`;
}

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  const tail = `${String(minutes % 60).padStart(minutes >= 60 ? 2 : 1, "0")}:${String(whole % 60).padStart(2, "0")}`;
  return minutes >= 60 ? `${Math.floor(minutes / 60)}:${tail}` : tail;
}

/** A Russian number in groups; anything else as it came. */
export function phone(number) {
  const parts = /^\+7(\d{3})(\d{3})(\d{2})(\d{2})$/.exec(number);
  return parts ? `+7 ${parts[1]} ${parts[2]}-${parts[3]}-${parts[4]}` : number;
}
