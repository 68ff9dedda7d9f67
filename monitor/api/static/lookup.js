// The look-up: from what the caller gives to a verdict, and the live check that improves it.
import { chart } from "./charts.js";
import { ago, h, icon, svg, term } from "./dom.js";
import { affectedText, markMine, openIncident } from "./incidents.js";
import { draft, reportPart } from "./report.js";
import { call } from "./server.js";
import { $, clock, number, now, said, span, state, t } from "./words.js";

// Verdicts about an area: they are spoken of to anybody who calls from there.
const AREA = ["KNOWN_OUTAGE", "AREA_POWER_CUT", "OUTAGE_FORMING", "PLANNED_WORK"];
const VERIFIED = ["customer_number", "phone_password", "address_and_name", "callback", "other"];

// `calling` false: somebody opens a line from a list or a link; that no customer has called must not count as a call.
export async function look(key, verified = null, wired = null, calling = true) {
  if (!key) return;
  state.follow?.close();
  state.key = key;
  const waiting = setTimeout(() => $("answer").replaceChildren(h("div.card.waiting", {}, t("searching"))), 150);
  try {
    const body = { key };
    if (calling && $("reports-problem").checked) body.reason = "call";
    if (verified) body.verified_by = verified;
    if (wired !== null) body.wired_works = wired;
    const answer = await call("POST", "/lookup", body);
    clearTimeout(waiting);
    state.skew = Date.parse(answer.at) - Date.now();
    answer.verified = verified;
    answer.wired = wired;
    const before = state.answer;
    // The same call goes on: what was typed or logged for it stays.
    if (before?.line && before.line.line_id === answer.line?.line_id && (verified || wired !== null)) [answer.draft, answer.logged] = [draft(), before.logged];
    state.answer = answer;
    renderAnswer();
    $("status").textContent = said(answer.verdict.title);
    if (answer.line) follow(answer);
  } catch (error) {
    clearTimeout(waiting);
    state.answer = null;
    $("answer").replaceChildren(h("div.card.waiting", { role: "alert" }, h("p.error", {}, `${t("error")}: ${error.message}`)));
  }
  if (!verified && wired === null) $("key").select();
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
  const focused = document.activeElement?.id;
  $("verdict")?.replaceWith(verdictPart(state.answer));
  $("evidence")?.replaceWith(evidencePart(state.answer));
  $("verify-area")?.replaceWith(verifyNote(state.answer));
  if (focused && document.activeElement?.id !== focused) $(focused)?.focus();
}

export function renderAnswer() {
  const answer = state.answer;
  const shown = $("answer");
  if (answer && shown.dataset.lookup === answer.lookup_id) answer.draft = draft();  // another language, back from another view
  shown.dataset.lookup = answer?.lookup_id ?? "";
  if (!answer) shown.replaceChildren(h("div.empty", {}, h("h2", {}, t("empty_title")), h("p", {}, t("empty_text"))));
  else if (!answer.line) shown.replaceChildren(h("article.card.verdict", {}, verdictPart(answer), candidates(answer)));
  else shown.replaceChildren(h("article.card.verdict", {}, verdictPart(answer), verifyPart(answer), reportPart(answer), evidencePart(answer), linePart(answer), historyPart(answer)));
  markMine();
}

// Whether a device on a cable works is what the agent can find out and nobody else: it tells the Wi-Fi from the line.
function wiredQuestion(answer) {
  if (!["NO_FAULT_FOUND", "WIFI_ONLY"].includes(answer.verdict.code)) return null;
  const pick = (value, label) => h("button", { type: "button", id: `wired-${label}`, "aria-pressed": String(answer.wired === value),
    onclick: async () => { await look(answer.line.line_id, answer.verified, value); $(`wired-${label}`)?.focus(); } }, t(label));
  return h("div.part-head.ask", { role: "group", "aria-labelledby": "wired-question" }, h("h3", { id: "wired-question" }, t("wired_question")),
    h("div.tools", {}, pick(true, "yes"), pick(false, "no")));
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
  // Over plain http browsers give no clipboard.
  const copy = navigator.clipboard ? h("button", { type: "button", onclick: () => navigator.clipboard.writeText(v.say[spoken]).then(() => { copy.textContent = t("copied"); }, () => {}) }, t("copy")) : null;
  part.append(h("section.part", {},
    h("div.part-head", {}, h("h3", {}, t("say")), h("div.tools", { role: "group", "aria-label": t("say_language") }, pick("de"), pick("en"), copy)), say));
  if (line) part.append(...[wiredQuestion(answer)].filter(Boolean).map((asked) => h("section.part.slim", {}, asked)));
  part.append(h("section.part.two", {},
    h("div", {}, h("h3", {}, t("steps")), h("ol.steps", {}, v.steps.map((s) => h("li", {}, h("span", {}, said(s.text)))))),
    v.do_not.length ? h("div", {}, h("h3", {}, t("dont")), h("ul.dont", {}, v.do_not.map((d) => h("li", {}, icon("bad"), h("span", {}, said(d.text)))))) : null));
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

function verifyPart(answer) {
  const line = answer.line;
  const again = async (how) => { await look(line.line_id, how, answer.wired ?? null); $("verify")?.focus(); };
  const select = h("select", { id: "verify", onchange: () => select.value && again(select.value) },
    h("option", { value: "" }, t(line.masked ? "verify_none" : "verify_open")), VERIFIED.map((v) => h("option", { value: v, selected: v === answer.verified }, t(`verify_${v}`))));
  return h("section.part.slim", { id: "verify-part" }, h("div.verify", {}, h("label", { for: "verify" }, t("verify")), select, verifyNote(answer)));
}

// What may be spoken of before the caller is verified: the area; never the line or the account.
function verifyNote(answer) {
  const area = AREA.includes(answer.verdict.code);
  return h("p.small.muted", { id: "verify-area", hidden: !area && Boolean(answer.verified) }, t(area ? "verify_area" : "verify_first"));
}

function linePart(answer) {
  const line = answer.line;
  return h("section.part", { id: "line" }, h("h3", {}, t("line")), h("dl.line", {},
    term("line_path", line.path), term("line_technology", [line.technology, line.service_class].filter(Boolean).join(", ") || "–"), term("line_cpe", [line.cpe_model, line.cpe_firmware].filter(Boolean).join(" ") || "–"),
    term("line_customer", [line.name, line.customer_id].filter(Boolean).join(" · ") || "–"), term("line_place", [line.street, line.city].filter(Boolean).join(", ") || "–"), term("line_phone", line.phone || "–")));
}

function historyPart(answer) {
  const part = h("section.part", { id: "history", hidden: true }, h("h3", {}, t("history")));
  const lineId = answer.line.line_id;
  const draw = (data) => { if (data.at.length > 1) { part.append(...chart(data)); part.hidden = false; } };
  if (answer.history) draw(answer.history);
  else call("GET", `/lines/${encodeURIComponent(lineId)}/history?hours=24&points=288`).then((data) => { if (state.answer?.lookup_id === answer.lookup_id) { state.answer.history = data; draw(data); } }).catch(() => {});
  return part;
}
