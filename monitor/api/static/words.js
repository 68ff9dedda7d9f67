// What the page says, and how it writes times and numbers. Everything from the server is put in as text, never as HTML.
export const labels = JSON.parse(document.getElementById("labels").textContent);
export const $ = (id) => document.getElementById(id);
export const root = document.documentElement;
export const state = { language: root.lang, session: null, view: "desk", answer: null, key: "", follow: null, feed: null, incidents: new Map(), skew: 0, sayLanguage: null };

export const t = (key, values = {}) =>
  labels[key][state.language === "de" ? 0 : 1].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
export const said = (both) => both[state.language];
export const number = (value) => new Intl.NumberFormat(state.language, { maximumFractionDigits: value < 100 ? 1 : 0 }).format(value);
export const now = () => Date.now() + state.skew;

export function clock(text, always = false, seconds = false) {
  const when = new Date(text);
  const zone = state.session?.zone ?? "UTC";
  const day = { timeZone: zone, day: "numeric", month: "short" };
  const hour = { timeZone: zone, hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined };
  const same = new Intl.DateTimeFormat("en", day).format(when) === new Intl.DateTimeFormat("en", day).format(now());
  return new Intl.DateTimeFormat(state.language === "de" ? "de-DE" : "en-GB", same && !always ? hour : { ...day, ...hour }).format(when);
}

export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} ${state.language === "de" ? "Std." : "h"}`;
  return `${Math.round(s / 86400)} ${state.language === "de" ? "Tagen" : "days"}`;
}
export const age = (at) => (now() - at < 2000 ? t("age_now") : t("age_ago", { age: span(now() - at) }));
