// Incidents: the live list, one in full, and what the NOC says to it.
import { curve } from "./charts.js";
import { ago, h, icon, term } from "./dom.js";
import { call, may } from "./server.js";
import { $, clock, labels, now, number, said, span, state, t } from "./words.js";

export const feed = { changed: () => {}, look: () => {} };

// A failing resolver or a slow segment has no line that is down.
export const affectedText = (i) => (["outage", "planned"].includes(i.kind)
  ? t("affected_value", { down: number(i.lines_down), total: number(i.lines_at_risk) })
  : t("affected_all", { total: number(i.lines_affected || i.lines_at_risk) }));

const RANK = { outage: 0, resolver: 1, degraded: 2, source: 3, planned: 4 };
export function tone(i) {
  if (i.status === "resolved") return "good";
  if (i.kind === "planned") return "planned";
  if (i.kind === "source") return "unknown";
  return i.kind === "degraded" || i.status !== "open" ? "watch" : "bad";
}

export function renderIncidents() {
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

export function markMine() {
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

export function listen() {
  state.feed?.close();
  const source = new EventSource("/api/v1/stream");
  state.feed = source;
  const again = () => fetchIncidents().then(() => connected(true)).catch(() => connected(false));
  source.addEventListener("hello", again);
  source.addEventListener("resync", again);
  source.addEventListener("incident", (event) => {
    const i = JSON.parse(event.data);
    if (i.status === "resolved") state.incidents.delete(i.incident_id);
    else state.incidents.set(i.incident_id, i);
    renderIncidents();
    feed.changed();
    if ($("incident").open && $("incident").dataset.id === i.incident_id) openIncident(i.incident_id);
  });
  source.addEventListener("error", () => {
    connected(false);
    // Refused (no session any more, too many readers): the browser gives up, so ask who we are and try again later.
    if (source.readyState === EventSource.CLOSED && state.session) setTimeout(() => call("GET", "/session").then(listen).catch(() => {}), 5000);
  });
}

export async function openIncident(id) {
  let i;
  try {
    i = await call("GET", `/incidents/${encodeURIComponent(id)}`);
  } catch (error) {
    $("status").textContent = error.message;
    return;
  }
  const dialog = $("incident");
  const writing = dialog.open && dialog.dataset.id === id ? [...dialog.querySelectorAll("input")].map((f) => f.value) : [];
  const focused = dialog.open && dialog.dataset.id === id ? document.activeElement?.id : null;
  const unfolded = dialog.dataset.id === id && dialog.querySelector("details")?.open;
  dialog.dataset.id = id;
  const explained = i.explanation.map((e) => h("p", {}, said(e)));
  const parts = [
    h(`div.banner.tone-${tone(i)}`, {}, icon(tone(i)), h("div.main", {}, h("h2", { id: "incident-title" }, said(i.title)), h("p.who-line", {}, `${i.incident_id} · ${t(`status_${i.status}`)}${i.acked_by ? ` · ${t("incident_acked", { by: i.acked_by })}` : ""}`)),
      h("button.close.mini", { type: "button", onclick: () => dialog.close() }, t("incident_close"))),
    h("dl.facts", {}, term("since", clock(i.started_at), h("small", {}, span(now() - Date.parse(i.started_at)))), term("affected", affectedText(i)),
      term("etr", i.etr ? clock(i.etr.at) : t("etr_none"), i.etr ? h("small", {}, t(i.etr.promised ? "etr_promised" : "etr_estimate")) : null), term("incident_confidence", `${number(Math.round(i.confidence * 100))} %`, i.runner_up ? h("small", {}, `${t("incident_runner_up")}: ${said(i.runner_up.text)} (${number(Math.round(i.runner_up_confidence * 100))} %)`) : null)),
  ];
  if (explained.length) parts.push(h("section.part", {}, h("h3", {}, t("incident_explanation")), explained));
  if (i.history.length) parts.push(h("section.part", {}, h("h3", {}, t("incident_history")), i.history.length > 1 ? curve(i) : null,
    h("ol.timeline", {}, i.history.slice(-8).map((s) => h("li", {}, h("time", {}, clock(s.at, false, true)), h("span", {}, labels[`what_${s.what}`] ? t(`what_${s.what}`) : s.what), h("span", {}, t("affected_value", { down: number(s.lines_down), total: number(i.lines_at_risk) })))))));
  if (i.notes.length) parts.push(h("section.part", {}, h("h3", {}, t("incident_notes")), h("ul.evidence", {}, i.notes.map((n) => h("li", {}, h("span", {}, n.text), h("span.source", {}, n.by), ago(Date.parse(n.at)))))));
  if (i.lines.length) parts.push(affected(i));
  if (may("incidents.act") && i.status !== "resolved") parts.push(actions(i));
  dialog.replaceChildren(...parts);
  dialog.querySelectorAll("input").forEach((field, n) => { field.value = writing[n] ?? ""; });
  if (unfolded) dialog.querySelector("details").open = true;
  if (!dialog.open) dialog.showModal();
  // A live change must not take the place from whoever works by keyboard; where it has gone, nothing is near by mistake.
  else if (focused !== null) ($(focused) ?? dialog.querySelector(".close")).focus();
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
  const note = h("input", { id: "incident-note", type: "text", maxlength: 4000, required: true });
  const etr = h("input", { id: "incident-etr", type: "datetime-local", required: true });
  const next = h("input", { id: "incident-next", type: "datetime-local" });
  return h("section.part.actions", {},
    h("form", { onsubmit: send("note", () => ({ text: note.value })) }, h("label", {}, t("incident_note_text"), note), h("button", {}, t("incident_note"))),
    h("form", { onsubmit: send("etr", () => ({ at: new Date(etr.value).toISOString(), next_update: next.value ? new Date(next.value).toISOString() : null })) }, h("label", {}, t("incident_etr_at"), etr), h("label", {}, t("incident_next_update"), next), h("button", {}, t("incident_etr"))),
    h("div.tools", {}, i.acked_by ? null : h("button.primary", { id: "incident-ack", type: "button", onclick: send("ack", () => ({})) }, t("incident_ack")), h("button.danger", { id: "incident-resolve", type: "button", onclick: send("resolve", () => ({})) }, t("incident_resolve"))), told);
}

// The lines that were ever affected; each leads to its look-up.
function affected(i) {
  const rows = i.lines.slice(0, 200).map((line) => h("li", {}, h("button.mini", { type: "button", onclick: () => { $("incident").close(); feed.look(line); } }, line)));
  const more = i.lines_affected - rows.length;
  return h("section.part", {}, h("details", {}, h("summary", { id: "incident-lines" }, t("incident_lines", { n: number(i.lines_affected) })), h("ul.chips.lines", {}, rows),
    more > 0 ? h("p.small.muted", {}, t("incident_lines_more", { n: number(more) })) : null));
}
