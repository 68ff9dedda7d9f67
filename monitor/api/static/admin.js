// The administrator's view: accounts, keys, and the audit trail, searched and paged.
import { accountsPanel, fillKeys, fillUsers, keysPanel } from "./access.js";
import { h } from "./dom.js";
import { table } from "./network.js";
import { call } from "./server.js";
import { $, clock, t } from "./words.js";

const STEP = 50;
let asked = {};

export function renderAdmin() {
  $("admin").replaceChildren(accountsPanel(), keysPanel(), auditPanel());
  fillUsers();
  fillKeys();
  fill();
}

function auditPanel() {
  const field = (name, attributes) => h("input", { type: "text", name, spellcheck: "false", autocapitalize: "off", autocomplete: "off", value: asked[name] ?? "", ...attributes });
  const fields = { person: field("person", { maxlength: 100 }), action: field("action", { maxlength: 50, placeholder: "lookup" }), subject: field("subject", { maxlength: 300, placeholder: "L0000001" }), since: field("since", { type: "datetime-local" }) };
  const form = h("form.inline.narrow", { role: "search", "aria-label": t("audit") }, Object.entries(fields).map(([name, one]) => h("label", {}, t(`audit_${name}`), one)), h("button.primary", {}, t("reports_button")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    asked = Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, one.value.trim()]));
    fill();
  });
  return h("section.card.panel", { "aria-labelledby": "audit-title" }, h("h2", { id: "audit-title" }, t("audit")), h("p.muted.small", {}, t("audit_what")), form, h("div", { id: "audit-list", "aria-live": "polite" }));
}

async function fill(beforeId = null, before = []) {
  const query = new URLSearchParams({ limit: STEP });
  for (const [name, value] of Object.entries(asked)) if (value) query.set(name, name === "since" ? new Date(value).toISOString() : value);
  if (beforeId !== null) query.set("before_id", beforeId);
  try {
    const page = await call("GET", `/audit?${query}`);
    const items = [...before, ...page.items];
    const rows = items.map((e) => h("tr", {}, h("td", {}, clock(e.at, true, true)), h("td", {}, e.who), h("td", {}, e.action), h("td", {}, e.subject || "–"), h("td.words", {}, e.detail || "–"), h("td", {}, e.address || "–")));
    $("audit-list")?.replaceChildren(items.length ? table(["report_at", "audit_person", "audit_action", "audit_subject", "audit_detail", "audit_address"], rows, "audit") : h("p.muted", {}, t("audit_none")),
      ...(page.before_id !== null ? [h("button", { type: "button", id: "audit-more", onclick: () => fill(page.before_id, items) }, t("reports_more"))] : []));
  } catch (error) {
    $("audit-list")?.replaceChildren(h("p.error", {}, error.message));
  }
}
