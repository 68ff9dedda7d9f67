// Customers' reports: searched, paged, exported.
import { h } from "./dom.js";
import { feed, openIncident } from "./incidents.js";
import { table } from "./network.js";
import { call, may } from "./server.js";
import { $, clock, labels, t } from "./words.js";

let asked = "";

export function renderReports() {
  const field = h("input", { id: "report-text", type: "text", maxlength: 200, value: asked });
  const exported = () => `/api/v1/calls?format=csv&text=${encodeURIComponent(asked)}`;
  const form = h("form.inline", { role: "search" }, h("label", {}, t("reports_search"), field), h("button.primary", {}, t("reports_button")),
    may("calls.export") ? h("a.button", { id: "reports-csv", href: exported(), download: "reports.csv" }, t("reports_csv")) : null);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    asked = field.value.trim();
    $("reports-csv")?.setAttribute("href", exported());
    fill("");
  });
  $("reports").replaceChildren(h("section.card.panel", { "aria-labelledby": "reports-title" }, h("h2", { id: "reports-title" }, t("reports")), form, h("div", { id: "report-list", "aria-live": "polite" })));
  fill("");
}

async function fill(cursor, before = []) {
  try {
    const page = await call("GET", `/calls?limit=50&text=${encodeURIComponent(asked)}&cursor=${encodeURIComponent(cursor)}`);
    const items = [...before, ...page.items];
    if (!$("report-list")) return;
    const rows = items.map((c) => h("tr", {}, h("td", {}, c.case_id), h("td", {}, clock(c.at, true)), h("td", {}, h("button.mini", { type: "button", onclick: () => feed.look(c.line_id) }, c.line_id)), h("td", {}, labels[`symptom_${c.symptom}`] ? t(`symptom_${c.symptom}`) : c.symptom), h("td.words", {}, c.words || "–"), h("td", {}, c.verdict_title ? c.verdict_title[document.documentElement.lang] : c.verdict), h("td", {}, c.incident_id ? h("button.mini", { type: "button", onclick: () => openIncident(c.incident_id) }, c.incident_id) : "–"), h("td", {}, c.by)));
    $("report-list").replaceChildren(items.length ? table(["report_case", "report_at", "line", "report_symptom", "report_words", "report_verdict", "report_incident", "report_by"], rows, "reports") : h("p.muted", {}, t("reports_none")),
      ...(page.cursor ? [h("button", { type: "button", onclick: () => fill(page.cursor, items) }, t("reports_more"))] : []));
  } catch (error) {
    $("report-list")?.replaceChildren(h("p.error", {}, error.message));
  }
}
