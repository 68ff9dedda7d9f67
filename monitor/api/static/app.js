// Faultline's page. Everything that comes from the server is put in as text, never as HTML.
const labels = JSON.parse(document.getElementById("labels").textContent);
const $ = (id) => document.getElementById(id);
const root = document.documentElement;
const SYMPTOMS = ["no_internet", "slow", "drops", "no_phone", "no_tv", "login", "wifi", "other"];
const VERIFIED = ["customer_number", "phone_password", "address_and_name", "callback", "other"];
const state = { language: root.lang, session: null, answer: null, key: "", follow: null, feed: null, incidents: new Map(), skew: 0, sayLanguage: null };

// -- words ---------------------------------------------------------------------------------------------------------
const t = (key, values = {}) =>
  labels[key][state.language === "de" ? 0 : 1].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const said = (both) => both[state.language];
const number = (value) => new Intl.NumberFormat(state.language, { maximumFractionDigits: value < 100 ? 1 : 0 }).format(value);
const now = () => Date.now() + state.skew;

function clock(text, always = false, seconds = false) {
  const when = new Date(text);
  const zone = state.session?.zone ?? "UTC";
  const day = { timeZone: zone, day: "numeric", month: "short" };
  const hour = { timeZone: zone, hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined };
  const same = new Intl.DateTimeFormat("en", day).format(when) === new Intl.DateTimeFormat("en", day).format(now());
  return new Intl.DateTimeFormat(state.language === "de" ? "de-DE" : "en-GB", same && !always ? hour : { ...day, ...hour }).format(when);
}

function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} ${state.language === "de" ? "Std." : "h"}`;
  return `${Math.round(s / 86400)} ${state.language === "de" ? "Tagen" : "days"}`;
}
const age = (at) => (now() - at < 2000 ? t("age_now") : t("age_ago", { age: span(now() - at) }));

// -- elements ------------------------------------------------------------------------------------------------------
function h(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
const icon = (name) => svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
const ago = (at) => h("time", { "data-at": at, datetime: new Date(at).toISOString() }, age(at));
const term = (label, ...value) => h("div", {}, h("dt", {}, t(label)), h("dd", {}, ...value));

// -- server --------------------------------------------------------------------------------------------------------
class Failed extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  if (state.session) headers["X-CSRF-Token"] = state.session.csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new Failed(0, t("error_network"));
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401 && state.session) leave(t("login_ended"));
  throw new Failed(response.status, answer.detail ?? t("error"));
}
const may = (permission) => state.session?.permissions.includes(permission);

// -- login ---------------------------------------------------------------------------------------------------------
function show(view) {
  document.body.dataset.view = view;
  $("login").hidden = view !== "login";
  $("desk").hidden = view !== "desk";
  (view === "login" ? $("login-key") : $("key")).focus();
}

function leave(message = "") {
  state.session = null;
  state.feed?.close();
  state.follow?.close();
  state.answer = null;
  $("answer").replaceChildren();
  $("incident").close();
  $("login-error").textContent = message;
  $("login-error").hidden = !message;
  $("login-key").value = "";
  show("login");
}

function enter(session) {
  state.session = session;
  state.skew = Date.parse(session.at) - Date.now();
  $("who").textContent = `${session.name} · ${session.role}`;
  $("login-error").hidden = true;
  show("desk");
  render();
  listen();
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    enter(await call("POST", "/session", { key: $("login-key").value }));
  } catch (error) {
    $("login-error").textContent = error.status === 401 || error.status === 422 ? t("login_wrong") : error.message;
    $("login-error").hidden = false;
    $("login-key").select();
  }
});

$("logout").addEventListener("click", async () => {
  await call("DELETE", "/session").catch(() => {});
  leave();
});

// -- look-up -------------------------------------------------------------------------------------------------------
async function look(key, verified = null) {
  if (!key) return;
  state.follow?.close();
  state.key = key;
  const waiting = setTimeout(() => $("answer").replaceChildren(h("div.card.waiting", {}, t("searching"))), 150);
  try {
    const body = { key };
    if ($("reports-problem").checked) body.reason = "call";
    if (verified) body.verified_by = verified;
    const answer = await call("POST", "/lookup", body);
    clearTimeout(waiting);
    state.skew = Date.parse(answer.at) - Date.now();
    answer.verified = verified;
    state.answer = answer;
    render();
    $("status").textContent = said(answer.verdict.title);
    if (answer.line) follow(answer);
  } catch (error) {
    clearTimeout(waiting);
    state.answer = null;
    $("answer").replaceChildren(h("div.card.waiting", { role: "alert" }, h("p.error", {}, `${t("error")}: ${error.message}`)));
  }
  if (!verified) $("key").select();
}

function follow(answer) {
  if (!answer.live.asked_at) return;
  const source = new EventSource(`/api/v1/lookup/${encodeURIComponent(answer.lookup_id)}/stream`);
  state.follow = source;
  source.addEventListener("verdict", (event) => {
    const better = JSON.parse(event.data);
    if (state.answer?.lookup_id !== better.lookup_id) return;
    if (better.verdict.code !== state.answer.verdict.code) $("status").textContent = said(better.verdict.title);
    state.skew = Date.parse(better.at) - Date.now();
    state.answer = { ...state.answer, ...better };
    repaint();
    markMine();
  });
  const end = () => {
    source.close();
    if (state.answer?.lookup_id === answer.lookup_id) {
      state.answer.settled = true;
      $("pulse")?.replaceWith(pulse(state.answer));
    }
  };
  source.addEventListener("done", end);
  source.addEventListener("error", end);
}

// What the live check may change; the report being written stays as it is.
function repaint() {
  $("verdict")?.replaceWith(verdictPart(state.answer));
  $("evidence")?.replaceWith(evidencePart(state.answer));
}

function render() {
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
  for (const element of document.querySelectorAll("[data-t-placeholder]")) element.placeholder = t(element.dataset.tPlaceholder);
  for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", button.dataset.language === state.language);
  root.lang = state.language;
  if (!state.session) return;
  const answer = state.answer;
  if (!answer) $("answer").replaceChildren(h("div.empty", {}, h("h2", {}, t("empty_title")), h("p", {}, t("empty_text"))));
  else if (!answer.line) $("answer").replaceChildren(h("article.card.verdict", {}, verdictPart(answer), candidates(answer)));
  else $("answer").replaceChildren(h("article.card.verdict", {}, verdictPart(answer), reportPart(answer), evidencePart(answer), linePart(answer), historyPart(answer)));
  renderIncidents();
}

function pulse(answer) {
  const live = answer.live;
  if (!live.asked_at) return h("span", { id: "pulse" });
  let [kind, text] = ["waiting", t("live_waiting")];
  if (live.answered === true) [kind, text] = ["yes", live.rtt_ms == null ? t("live_yes_plain") : t("live_yes", { rtt: number(live.rtt_ms) })];
  else if (live.answered === false) [kind, text] = ["no", t("live_no")];
  else if (answer.settled) [kind, text] = ["none", t("live_none")];
  return h("span.pulse", { id: "pulse", "data-live": kind }, h("i", { "aria-hidden": "true" }), text);
}

function verdictPart(answer) {
  const v = answer.verdict;
  const line = answer.line;
  const who = line ? [line.line_id, line.name, line.city].filter(Boolean).join(" · ") : "";
  const part = h(`div.tone-${v.tone}`, { id: "verdict", "data-code": v.code },
    h("div.banner", {}, icon(v.tone),
      h("div.main", {}, h("h2", {}, said(v.title)), h("p.who-line", {}, who)),
      h("div.right", {}, h("div.certainty", {}, `${t("confidence")}: `, h("strong", {}, said(v.confidence_text))), pulse(answer))));
  if (line) part.append(facts(answer));
  const spoken = state.sayLanguage ?? state.language;
  const say = h("p.say", { lang: spoken }, v.say[spoken]);
  const pick = (code) => h("button", { type: "button", lang: code, "aria-pressed": String(code === spoken), onclick: () => { state.sayLanguage = code; repaint(); $(`say-${code}`).focus(); }, id: `say-${code}` }, code.toUpperCase());
  const copy = h("button", { type: "button", onclick: async () => { await navigator.clipboard?.writeText(v.say[spoken]).catch(() => {}); copy.textContent = t("copied"); } }, t("copy"));
  part.append(h("section.part", {},
    h("div.part-head", {}, h("h3", {}, t("say")), h("div.tools", { role: "group", "aria-label": t("say_language") }, pick("de"), pick("en"), copy)), say));
  part.append(h("section.part.two", {},
    h("div", {}, h("h3", {}, t("steps")), h("ol.steps", {}, v.steps.map((s) => h("li", {}, h("span", {}, said(s.text)))))),
    h("div", {}, h("h3", {}, t("dont")), h("ul.dont", {}, v.do_not.map((d) => h("li", {}, icon("bad"), h("span", {}, said(d.text))))))));
  return part;
}

function evidencePart(answer) {
  const v = answer.verdict;
  const at = Date.parse(answer.at);
  const rows = v.evidence.map((e) => h("li", {}, h("span", {}, said(e.text)), h("span.source", {}, e.source), ago(at - e.age_s * 1000)));
  const also = v.also_seen.map((a) => h("li.chip", {}, said(a.text)));
  return h("section.part", { id: "evidence" }, h("h3", {}, t("evidence")), h("ul.evidence", {}, rows),
    also.length ? h("div.also", {}, h("h3", {}, t("also_seen")), h("ul.chips", {}, also)) : null);
}

function facts(answer) {
  const v = answer.verdict;
  const own = ["LINE_DOWN_ONLY_HERE", "POWER_AT_HOME", "LOGIN_FAILED", "CPE_FAULT", "UNSTABLE", "NESTED_FAULT"].includes(v.code) || (v.code === "SLOW_VS_BASELINE" && !v.scope);
  const fine = v.code === "NO_FAULT_FOUND";
  const scope = v.scope && !own ? said(v.scope.text) : t(own ? "scope_line" : fine ? "scope_none" : v.tone === "bad" ? "scope_line" : "scope_unknown");
  const since = v.since ? [clock(v.since), h("small", {}, span(now() - Date.parse(v.since)))] : ["–"];
  const etr = v.etr ? [clock(v.etr.at), h("small", {}, t(v.etr.promised ? "etr_promised" : "etr_estimate"))] : [v.incident_id ? t("etr_none") : "–"];
  const i = answer.incident;
  const affected = i ? [affectedText(i), h("small", {}, h("a", { href: "#", onclick: (event) => { event.preventDefault(); openIncident(i.incident_id); } }, i.incident_id))] : ["–"];
  return h("dl.facts", {}, term("since", ...since), term("scope", scope), term("etr", ...etr), term("affected", ...affected));
}

function candidates(answer) {
  const list = answer.candidates;
  if (!list.length) return null;
  const rows = list.map((c, n) => h("li", {}, h("button", { type: "button", "data-digit": n < 9 ? n + 1 : false, onclick: () => pickLine(c.line_id) },
    h("kbd", {}, n < 9 ? String(n + 1) : ""), h("strong", {}, c.line_id), h("span", {}, c.name_hint), h("span.wide", {}, [c.street_hint, c.city].filter(Boolean).join(", ")), h("span.wide", {}, c.technology))));
  const more = answer.matches - list.length;
  return h("section.candidates", {}, h("h3", {}, t("candidates_title", { n: number(answer.matches) })), h("p.small.muted", {}, t("candidates_hint")), h("ol", {}, rows),
    more > 0 ? h("p.small.muted", {}, t("candidates_more", { n: number(more) })) : null);
}

function pickLine(lineId) {
  $("key").value = lineId;
  look(lineId);
}

function linePart(answer) {
  const line = answer.line;
  const select = h("select", { id: "verify", onchange: () => select.value && look(line.line_id, select.value) },
    h("option", { value: "" }, t("verify_none")), VERIFIED.map((v) => h("option", { value: v, selected: v === answer.verified }, t(`verify_${v}`))));
  const verify = line.masked || answer.verified ? h("div.verify", {}, h("label", { for: "verify" }, t("verify")), select) : null;
  return h("section.part", { id: "line" }, h("h3", {}, t("line")), verify, h("dl.line", {},
    term("line_path", line.path), term("line_technology", [line.technology, line.service_class].filter(Boolean).join(", ") || "–"), term("line_cpe", [line.cpe_model, line.cpe_firmware].filter(Boolean).join(" ") || "–"),
    term("line_customer", [line.name, line.customer_id].filter(Boolean).join(" · ") || "–"), term("line_place", [line.street, line.city].filter(Boolean).join(", ") || "–"), term("line_phone", line.phone || "–")));
}

// -- report --------------------------------------------------------------------------------------------------------
function reportPart(answer) {
  const requestId = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  const part = h("section.part.report", { id: "report" });
  const symptom = h("select", { id: "symptom" }, SYMPTOMS.map((s) => h("option", { value: s }, t(`symptom_${s}`))));
  const words = h("textarea", { id: "words", maxlength: 4000, rows: 1 });
  const button = h("button.primary", { id: "log", "aria-keyshortcuts": "Control+Enter", title: "Ctrl + Enter" }, t("report_button"));
  const problem = h("p.error", { role: "alert", hidden: true });
  const form = h("form", {}, h("label", {}, t("report_symptom"), symptom), h("label", {}, t("report_words"), words), button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    try {
      const made = await call("POST", "/calls", { line_id: answer.line.line_id, symptom: symptom.value, words: words.value, request_id: requestId });
      const done = t(made.new ? "report_done" : "report_again", { case: made.case_id });
      part.replaceChildren(h("div.logged", {}, h("strong", {}, `✓ ${done}`), h("p", {}, made.say[state.sayLanguage ?? state.language])));
      state.answer.logged = made;
      $("status").textContent = done;
      $("key").focus();
    } catch (error) {
      problem.textContent = `${t("error")}: ${error.message}`;
      problem.hidden = false;
      button.disabled = false;
    }
  });
  if (answer.logged) part.append(h("div.logged", {}, h("strong", {}, `✓ ${t("report_done", { case: answer.logged.case_id })}`), h("p", {}, said(answer.logged.say))));
  else part.append(h("h3", {}, t("report")), form, problem);
  return part;
}

// -- history -------------------------------------------------------------------------------------------------------
function historyPart(answer) {
  const part = h("section.part", { id: "history", hidden: true }, h("h3", {}, t("history")));
  const lineId = answer.line.line_id;
  const draw = (data) => { if (data.at.length > 1) { part.append(...chart(data)); part.hidden = false; } };
  if (answer.history) draw(answer.history);
  else call("GET", `/lines/${encodeURIComponent(lineId)}/history?hours=24&points=288`).then((data) => { if (state.answer?.lookup_id === answer.lookup_id) { state.answer.history = data; draw(data); } }).catch(() => {});
  return part;
}

function chart(data) {
  const at = data.at.map((text) => Date.parse(text));
  const end = at.at(-1) + data.bin_s * 1000;
  const begin = Math.min(at[0], end - 3600e3);
  const known = data.rtt_ms.filter((v) => v != null).toSorted((a, b) => a - b);
  const top = Math.max(1, (known[Math.floor(known.length * 0.995)] ?? 1) * 1.25);
  const x = (ms) => ((ms - begin) / (end - begin)) * 1000;
  const y = (v) => 100 - Math.min(1, v / top) * 94;
  const outages = [];
  let path = "";
  let last = null;
  at.forEach((ms, i) => {
    const width = Math.max(1.5, x(ms + data.bin_s * 1000) - x(ms));
    if (data.sent[i] > 0 && data.received[i] === 0) {
      const open = outages.at(-1);
      if (open && x(ms) - open[1] < 0.5) open[1] = x(ms) + width;
      else outages.push([x(ms), x(ms) + width]);
      last = null;
    } else if (data.rtt_ms[i] != null) {
      const near = last != null && ms - last <= data.bin_s * 2500;
      path += `${near ? "L" : "M"}${(x(ms) + width / 2).toFixed(1)} ${y(data.rtt_ms[i]).toFixed(1)}`;
      last = ms;
    }
  });
  const bands = outages.flatMap(([from, to]) => [["gap", 100], ["gap-top", 4]].map(([name, height]) => svg("rect", { class: name, x: from, y: 0, width: to - from, height })));
  const grid = [25, 50, 75].map((at) => svg("line", { class: "grid", x1: 0, x2: 1000, y1: at, y2: at }));
  const rtt = data.rtt_ms.findLast((v) => v != null);
  const label = t("history_text", { rtt: rtt == null ? "–" : number(rtt) });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((f) => h("span", {}, clock(begin + f * (end - begin), f === 0 && end - begin > 20 * 3600e3)));
  return [svg("svg", { class: "chart", viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": label }, ...bands, ...grid, svg("path", { class: "rtt", d: path })),
    h("div.axis", { "aria-hidden": "true" }, ticks), h("p.small.muted", {}, label)];
}

// -- incidents -----------------------------------------------------------------------------------------------------
// A failing resolver or a slow segment has no line that is down.
const affectedText = (i) => (["outage", "planned"].includes(i.kind)
  ? t("affected_value", { down: number(i.lines_down), total: number(i.lines_at_risk) })
  : t("affected_all", { total: number(i.lines_affected || i.lines_at_risk) }));

const RANK = { outage: 0, resolver: 1, degraded: 2, source: 3, planned: 4 };
function tone(i) {
  if (i.status === "resolved") return "good";
  if (i.kind === "planned") return "planned";
  if (i.kind === "source") return "unknown";
  return i.kind === "degraded" || i.status !== "open" ? "watch" : "bad";
}

function renderIncidents() {
  const all = [...state.incidents.values()].sort((a, b) =>
    (a.status === "suspected") - (b.status === "suspected") || RANK[a.kind] - RANK[b.kind] || Date.parse(b.started_at) - Date.parse(a.started_at));
  $("incidents-count").textContent = all.length || "";
  const rows = all.map((i) => {
    const [kind, ...name] = said(i.title).split(": ");
    const numbers = [affectedText(i)];
    if (i.calls) numbers.push(t("incident_calls", { n: number(i.calls) }));
    if (i.etr) numbers.push(t(i.kind === "planned" ? "until" : i.etr.promised ? "fixed_by" : "fixed_about", { at: clock(i.etr.at) }));
    return h(`li.tone-${tone(i)}`, { "data-incident": i.incident_id }, h("button", { type: "button", onclick: () => openIncident(i.incident_id) },
      h("span.top", {}, h("span.kind", {}, icon(tone(i)), kind), h("span", {}, t(`status_${i.status}`))),
      h("span.name", {}, name.join(": ")), h("span.numbers", {}, numbers.join(" · ")),
      h("span.top", {}, h("span", { "data-since": Date.parse(i.started_at) }, t("incident_open_for", { age: span(now() - Date.parse(i.started_at)) })), i.acked_by ? h("span", {}, t("incident_acked", { by: i.acked_by })) : null)));
  });
  $("incidents").replaceChildren(...(rows.length ? rows : [h("li.none", {}, h("strong", {}, t("incidents_none")), h("span.small.muted", {}, t("incidents_none_text")))]));
  markMine();
  connected($("live").dataset.state === "on");
}

function markMine() {
  for (const row of $("incidents").children) row.classList.toggle("mine", row.dataset.incident === (state.answer?.verdict.incident_id || null));
}

function connected(on) {
  $("live").dataset.state = on ? "on" : "off";
  $("live").lastElementChild.textContent = t(on ? "incidents_live" : "incidents_offline");
}

async function fetchIncidents() {
  const page = await call("GET", "/incidents?limit=200");
  state.incidents = new Map(page.items.map((i) => [i.incident_id, i]));
  renderIncidents();
}

function listen() {
  state.feed?.close();
  const feed = new EventSource("/api/v1/stream");
  state.feed = feed;
  const again = () => fetchIncidents().then(() => connected(true)).catch(() => connected(false));
  feed.addEventListener("hello", again);
  feed.addEventListener("resync", again);
  feed.addEventListener("incident", (event) => {
    const i = JSON.parse(event.data);
    if (i.status === "resolved") state.incidents.delete(i.incident_id);
    else state.incidents.set(i.incident_id, i);
    renderIncidents();
    if ($("incident").open && $("incident").dataset.id === i.incident_id) openIncident(i.incident_id);
  });
  feed.addEventListener("error", () => {
    connected(false);
    // Refused (no session any more, too many readers): the browser gives up, so ask who we are and try again later.
    if (feed.readyState === EventSource.CLOSED && state.session) setTimeout(() => call("GET", "/session").then(listen).catch(() => {}), 5000);
  });
}

async function openIncident(id) {
  let i;
  try {
    i = await call("GET", `/incidents/${encodeURIComponent(id)}`);
  } catch (error) {
    $("status").textContent = error.message;
    return;
  }
  const dialog = $("incident");
  const writing = dialog.open && dialog.dataset.id === id ? [...dialog.querySelectorAll("input")].map((f) => f.value) : [];
  dialog.dataset.id = id;
  const explained = i.explanation.map((e) => h("p", {}, said(e)));
  const parts = [
    h(`div.banner.tone-${tone(i)}`, {}, icon(tone(i)), h("div.main", {}, h("h2", { id: "incident-title" }, said(i.title)), h("p.who-line", {}, `${i.incident_id} · ${t(`status_${i.status}`)}${i.acked_by ? ` · ${t("incident_acked", { by: i.acked_by })}` : ""}`)),
      h("button.close.mini", { type: "button", onclick: () => dialog.close() }, t("incident_close"))),
    h("dl.facts", {}, term("since", clock(i.started_at), h("small", {}, span(now() - Date.parse(i.started_at)))), term("affected", affectedText(i)),
      term("etr", i.etr ? clock(i.etr.at) : t("etr_none"), i.etr ? h("small", {}, t(i.etr.promised ? "etr_promised" : "etr_estimate")) : null), term("incident_confidence", `${number(Math.round(i.confidence * 100))} %`, i.runner_up ? h("small", {}, `${t("incident_runner_up")}: ${said(i.runner_up.text)}`) : null)),
  ];
  if (explained.length) parts.push(h("section.part", {}, h("h3", {}, t("incident_explanation")), explained));
  if (i.history.length) parts.push(h("section.part", {}, h("h3", {}, t("incident_history")), i.history.length > 2 ? curve(i) : null,
    h("ol.timeline", {}, i.history.slice(-8).map((s) => h("li", {}, h("time", {}, clock(s.at, false, true)), h("span", {}, labels[`what_${s.what}`] ? t(`what_${s.what}`) : s.what), h("span", {}, t("affected_value", { down: number(s.lines_down), total: number(i.lines_at_risk) })))))));
  if (i.notes.length) parts.push(h("section.part", {}, h("h3", {}, t("incident_notes")), h("ul.evidence", {}, i.notes.map((n) => h("li", {}, h("span", {}, n.text), h("span.source", {}, n.by), ago(Date.parse(n.at)))))));
  if (may("incidents.act") && i.status !== "resolved") parts.push(actions(i));
  dialog.replaceChildren(...parts);
  dialog.querySelectorAll("input").forEach((field, n) => { field.value = writing[n] ?? ""; });
  if (!dialog.open) dialog.showModal();
}

function curve(i) {
  const points = i.history.map((s) => [Date.parse(s.at), s.lines_down]);
  const [begin, end] = [points[0][0], i.resolved_at ? Date.parse(i.resolved_at) : now()];
  const top = Math.max(1, ...points.map((p) => p[1]));
  const x = (ms) => (((ms - begin) / Math.max(1, end - begin)) * 1000).toFixed(1);
  let d = `M0 ${100 - (points[0][1] / top) * 92}`;
  for (const [ms, down] of points.slice(1)) d += `H${x(ms)}V${(100 - (down / top) * 92).toFixed(1)}`;
  d += "H1000";
  return svg("svg", { class: "curve", viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path", { class: "fill", d: `${d}V100H0Z` }), svg("path", { d }));
}

function actions(i) {
  const told = h("p.small", { role: "status" });
  const send = (what, body) => async (event) => {
    event.preventDefault();
    try {
      await call("POST", `/incidents/${encodeURIComponent(i.incident_id)}/${what}`, body());
      event.target.reset?.();
      told.className = "small";
      told.textContent = `✓ ${t("incident_sent")}`;
    } catch (error) {
      told.className = "small error";
      told.textContent = error.message;
    }
  };
  const note = h("input", { type: "text", maxlength: 4000, required: true });
  const etr = h("input", { type: "datetime-local", required: true });
  return h("section.part.actions", {},
    h("form", { onsubmit: send("note", () => ({ text: note.value })) }, h("label", {}, t("incident_note_text"), note), h("button", {}, t("incident_note"))),
    h("form", { onsubmit: send("etr", () => ({ at: new Date(etr.value).toISOString() })) }, h("label", {}, t("incident_etr_at"), etr), h("button", {}, t("incident_etr"))),
    h("div.tools", {}, i.acked_by ? null : h("button.primary", { type: "button", onclick: send("ack", () => ({})) }, t("incident_ack")), h("button.danger", { type: "button", onclick: send("resolve", () => ({})) }, t("incident_resolve"))), told);
}

// -- the rest ------------------------------------------------------------------------------------------------------
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  look($("key").value.trim());
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select");
  if (event.key === "Escape" && !$("incident").open && state.session) {
    state.follow?.close();
    state.answer = null;
    $("key").value = "";
    render();
    $("key").focus();
  } else if (event.key === "/" && !typing && state.session && !$("incident").open) {
    event.preventDefault();
    $("key").focus();
    $("key").select();
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    $("log")?.click();
  } else if (/^[1-9]$/.test(event.key) && !event.ctrlKey && !event.metaKey && (!typing || event.altKey)) {
    document.querySelector(`[data-digit="${event.key}"]`)?.click();
  }
});

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    state.language = button.dataset.language;
    state.sayLanguage = null;
    document.cookie = `faultline_language=${state.language}; path=/; max-age=31536000; samesite=strict`;
    render();
  });
}

function theme(name) {
  if (name) root.dataset.theme = name;
}
theme(localStorage.getItem("faultline-theme"));
$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(root).colorScheme === "dark" || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  theme(dark ? "light" : "dark");
  localStorage.setItem("faultline-theme", root.dataset.theme);
});

setInterval(() => {
  for (const element of document.querySelectorAll("time[data-at]")) element.textContent = age(Number(element.dataset.at));
  for (const element of document.querySelectorAll("[data-since]")) element.textContent = t("incident_open_for", { age: span(now() - Number(element.dataset.since)) });
}, 1000);

render();
call("GET", "/session").then(enter).catch(() => show("login"));
