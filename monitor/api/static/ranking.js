// The list a field team starts the day with: lines most likely to call within a week.
import { h } from "./dom.js";
import { feed } from "./incidents.js";
import { table } from "./network.js";
import { call } from "./server.js";
import { $, clock, labels, number, said, t } from "./words.js";

let under = "";
const STEP = 50;

export function renderRanking() {
  const field = h("input", { id: "ranking-element", type: "text", maxlength: 500, value: under, placeholder: "north/ex-12", spellcheck: "false", autocapitalize: "off" });
  const csv = h("a.button", { id: "ranking-csv", download: "ranking.csv" }, t("reports_csv"));
  const form = h("form.inline", { role: "search" }, h("label", {}, t("ranking_under"), field), h("button.primary", {}, t("reports_button")), csv);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    under = field.value.trim();
    fill(STEP);
  });
  $("ranking").replaceChildren(h("section.card.panel", { "aria-labelledby": "ranking-title" }, h("h2", { id: "ranking-title" }, t("ranking")), h("p.muted", {}, t("ranking_what")), form, h("div", { id: "ranking-list", "aria-live": "polite" })));
  fill(STEP);
}

async function fill(limit) {
  const element = encodeURIComponent(under);
  $("ranking-csv").href = `/api/v1/ranking?format=csv&limit=5000&element=${element}`;
  try {
    const list = await call("GET", `/ranking?limit=${limit}&element=${element}`);
    if (!$("ranking-list")) return;
    const parts = list.at ? [h("p.small.muted", { id: "ranking-basis" }, t("ranking_as_of", { at: clock(list.at, true), n: number(list.listed) }), " ", said(list.basis.text))] : [];
    const byModel = list.basis?.method === "model";
    const heads = ["ranking_place", "line", "ranking_where", byModel ? "ranking_chance" : "ranking_score", "ranking_why", "since", "ranking_week", "ranking_calls"];
    parts.push(list.items.length ? table(heads, list.items.map((one) => row(one, byModel)), "ranking") : h("p.muted", {}, t(list.at ? "ranking_none" : "ranking_not_yet")));
    if (list.items.length < Math.min(list.listed, 5000)) parts.push(h("button", { type: "button", onclick: () => fill(Math.min(5000, 4 * limit)) }, t("reports_more")));
    $("ranking-list").replaceChildren(...parts);
  } catch (error) {
    $("ranking-list")?.replaceChildren(h("p.error", {}, error.message));
  }
}

// The sentence begins with whose line it is, which stands in the row already.
const figureOf = (text) => text.slice(text.indexOf(": ") + 2);

function row(one, byModel) {
  const place = [one.street, [one.postcode, one.city].filter(Boolean).join(" ")].filter(Boolean).join(", ");
  const figure = byModel ? `${number(Math.round(one.chance * 100))} %` : number(Math.round(one.score));
  const what = one.kind ? [h("span.chip", {}, labels[`flag_${one.kind}`] ? t(`flag_${one.kind}`) : one.kind), " ", figureOf(said(one.text)), one.open ? null : h("small.muted", {}, ` (${t("ranking_over")})`)] : t("ranking_only_calls");
  return h("tr", {}, h("td", {}, number(one.rank)), h("td", {}, h("button.mini", { type: "button", onclick: () => feed.look(one.line_id) }, one.line_id)), h("td.words", {}, place || "–", h("br"), h("small.muted", {}, one.path)), h("td", {}, h("strong", {}, figure)), h("td.words", {}, what), h("td", {}, one.started_at ? clock(one.started_at, true) : "–"), h("td", {}, `${number(one.flagged_week_h)} h`), h("td", {}, number(one.calls_month)));
}
