// The NOC's view: the network as a tree with states and coverage, planned work, and what was noticed on lines.
import { downs } from "./charts.js";
import { h } from "./dom.js";
import { feed } from "./incidents.js";
import { call, may } from "./server.js";
import { $, clock, labels, number, state, t } from "./words.js";

const unfolded = new Set();
const STATES = ["up", "degraded", "down", "unknown"];

export function renderNetwork() {
  const parts = [h("section.card.panel", { "aria-labelledby": "tree-title" }, h("div.part-head", {}, h("h2", { id: "tree-title" }, t("network")), legend()), h("div", { id: "tree" }))];
  parts.push(h("section.card.panel", { "aria-labelledby": "work-title" }, h("h2", { id: "work-title" }, t("work")), h("div", { id: "work" }), may("maintenance.act") ? workForm() : null));
  if (may("flags")) parts.push(h("section.card.panel", { "aria-labelledby": "flags-title" }, h("h2", { id: "flags-title" }, t("flags")), h("div", { id: "flags" })));
  $("network").replaceChildren(...parts);
  refreshNetwork();
}

export async function refreshNetwork() {
  const answers = await Promise.all([tops(), call("GET", "/maintenance"), may("flags") ? call("GET", "/flags?limit=100") : null].map((p) => Promise.resolve(p).catch(() => null)));
  if (state.view !== "network" || !$("tree")) return;
  const [roots, work, flags] = answers;
  if (roots) keepFocus(() => $("tree").replaceChildren(roots));
  if (work) $("work").replaceChildren(workList(work.items));
  if (flags) $("flags").replaceChildren(flagList(flags.items));
}

// -- tree ----------------------------------------------------------------------------------------------------------
async function tops() {
  const { items } = await call("GET", "/elements");
  return h("ul.tree", {}, await Promise.all(items.map(branch)));
}

const url = (path) => `/elements/${path.split("/").map(encodeURIComponent).join("/")}`;
const KEPT_MS = 60_000;
const pasts = new Map();

// The last day of an unfolded element, asked once a minute; null where no history is kept (below access nodes).
function past(path) {
  const kept = pasts.get(path);
  if (kept && Date.now() - kept.at < KEPT_MS) return kept.data;
  const data = call("GET", `${url(path)}/history?hours=24`).catch(() => null);
  pasts.set(path, { at: Date.now(), data });
  return data;
}

async function branch(element) {
  const open = unfolded.has(element.path) && element.has_children;
  const [below, day] = open ? await Promise.all([call("GET", url(element.path)).catch(() => null), past(element.path)]) : [null, null];
  const name = element.path.split("/").at(-1);
  const coverage = element.lines ? element.observable / element.lines : 0;
  const counts = [t("tree_lines", { n: number(element.lines) })];
  if (element.down) counts.push(t("tree_down", { n: number(element.down) }));
  if (element.degraded) counts.push(t("tree_degraded", { n: number(element.degraded) }));
  counts.push(t("tree_coverage", { share: number(Math.floor(coverage * 100)) }));
  const content = [h("span.twist", { "aria-hidden": "true" }, element.has_children ? (open ? "▾" : "▸") : "·"), h("span.tree-name", {}, h("strong", {}, name), h("small", {}, element.kind)), bar(element), h("span.tree-counts", {}, counts.join(" · "))];
  const row = element.has_children
    ? h("button.tree-row", { type: "button", "data-path": element.path, "aria-expanded": String(open), onclick: () => { open ? unfolded.delete(element.path) : unfolded.add(element.path); refreshNetwork(); } }, content)
    : h("div.tree-row", {}, content);
  const children = below ? h("ul.tree", {}, await Promise.all(below.children.map(branch))) : null;
  return h("li", {}, row, day && day.at.length > 1 ? downs(day) : null, children);
}

function bar(element) {
  const total = Math.max(1, element.lines);
  // Thin shares stay visible: one line down among ten thousand is what somebody looks for.
  const parts = STATES.filter((name) => element[name]).map((name) => {
    const part = h(`i.is-${name}`);
    part.style.flexGrow = String(Math.max(element[name] / total, 0.02));
    return part;
  });
  return h("span.bar-states", { "aria-hidden": "true" }, parts);
}

const legend = () => h("ul.legend.small.muted", {}, STATES.map((name) => h("li", {}, h(`i.is-${name}`, { "aria-hidden": "true" }), t(`state_${name}`))));

function keepFocus(change) {
  const path = document.activeElement?.dataset?.path;
  change();
  if (path) document.querySelector(`[data-path="${CSS.escape(path)}"]`)?.focus();
}

// -- planned work --------------------------------------------------------------------------------------------------
function workList(items) {
  if (!items.length) return h("p.muted", {}, t("work_none"));
  const rows = items.map((w) => h("tr", {}, h("td", {}, w.scope.name), h("td", {}, clock(w.starts_at, true)), h("td", {}, clock(w.ends_at, true)), h("td", {}, w.reason || "–"), h("td", {}, w.active ? h("span.chip", {}, t("work_active")) : null),
    h("td", {}, may("maintenance.act") ? h("button.mini", { type: "button", "aria-label": `${t("work_end")}: ${w.scope.name}`, onclick: () => call("DELETE", `/maintenance/${encodeURIComponent(w.maintenance_id)}`).then(refreshNetwork, () => {}) }, t("work_end")) : null)));
  return table(["work_scope", "work_from", "work_until", "work_reason", "", ""], rows, "work");
}

function workForm() {
  const kind = h("select", {}, ["element", "group", "line"].map((k) => h("option", { value: k }, t(k === "line" ? "line" : `scope_${k}`))));
  const name = h("input", { type: "text", required: true, maxlength: 200, placeholder: "north/ex-12/olt-3" });
  const [from, until] = [1, 2].map(() => h("input", { type: "datetime-local", required: true }));
  const reason = h("input", { type: "text", maxlength: 500 });
  const told = h("p.small", { role: "status" });
  const form = h("form.grid-form", {}, h("label", {}, t("work_kind"), kind), h("label", {}, t("work_scope"), name), h("label", {}, t("work_from"), from), h("label", {}, t("work_until"), until), h("label", {}, t("work_reason"), reason), h("button", {}, t("work_plan")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const at = (field) => new Date(field.value).toISOString();
      await call("POST", "/maintenance", { scope: { kind: kind.value, name: name.value.trim() }, starts_at: at(from), ends_at: at(until), reason: reason.value });
      form.reset();
      told.className = "small";
      told.textContent = `✓ ${t("work_planned")}`;
      refreshNetwork();
    } catch (error) {
      told.className = "small error";
      told.textContent = error.message;
    }
  });
  return h("details.plan", {}, h("summary", {}, t("work_plan")), form, told);
}

// -- flags ---------------------------------------------------------------------------------------------------------
const UNITS = { ratio: "%", db: "dB", dbm: "dBm", per_hour: "/h", per_day: "/d" };
const measured = (f) => `${number(f.unit === "ratio" ? f.value * 100 : f.value)} ${UNITS[f.unit] ?? f.unit}`;

function flagList(items) {
  if (!items.length) return h("p.muted", {}, t("flags_none"));
  const rows = items.map((f) => {
    const line = !f.subject.includes(":");
    const subject = line ? h("button.mini", { type: "button", onclick: () => feed.look(f.subject) }, f.subject) : f.subject.replace("element:", "");
    return h("tr", {}, h("td", {}, subject), h("td", {}, labels[`flag_${f.kind}`] ? t(`flag_${f.kind}`) : f.kind), h("td", {}, measured(f)), h("td", {}, clock(f.started_at, true)));
  });
  return table(["flag_subject", "flag_kind", "flag_value", "since"], rows, "flags");
}

export function table(heads, rows, name) {
  return h("div.scroll", { tabindex: 0, role: "region", "aria-label": `${t(name)}: ${t("table")}` }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => (head ? h("th", { scope: "col" }, t(head)) : h("td"))))), h("tbody", {}, rows)));
}
