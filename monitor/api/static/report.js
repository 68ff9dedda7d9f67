// The customer's report: one click, with what the customer said.
import { h } from "./dom.js";
import { call } from "./server.js";
import { $, clock, said, state, t } from "./words.js";

const SYMPTOMS = ["no_internet", "slow", "drops", "no_phone", "no_tv", "login", "wifi", "other"];

// What is being typed now, to be taken along when the part is made anew.
export const draft = () => ($("words") ? { symptom: $("symptom").value, words: $("words").value } : undefined);

export function reportPart(answer) {
  const requestId = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  const part = h("section.part.report", { id: "report" });
  const symptom = h("select", { id: "symptom" }, SYMPTOMS.map((s) => h("option", { value: s }, t(`symptom_${s}`))));
  const words = h("textarea", { id: "words", maxlength: 4000, rows: 1 });
  if (answer.draft) [symptom.value, words.value] = [answer.draft.symptom, answer.draft.words];
  const button = h("button.primary", { id: "log", "aria-keyshortcuts": "Control+Enter", title: "Ctrl + Enter" }, t("report_button"));
  const problem = h("p.error", { role: "alert", hidden: true });
  const form = h("form", {}, h("label", {}, t("report_symptom"), symptom), h("label", {}, t("report_words"), words), button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    try {
      const made = await call("POST", "/calls", { line_id: answer.line.line_id, symptom: symptom.value, words: words.value, wired_works: answer.wired ?? null, request_id: requestId });
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
  part.append(h("div", { id: "earlier" }));
  earlier(answer);
  return part;
}

// Whoever calls again is known to have called: the last reports of the line, without anybody's words.
async function earlier(answer) {
  answer.earlier ??= call("GET", `/calls?limit=3&line_id=${encodeURIComponent(answer.line.line_id)}`).catch(() => ({ items: [] }));
  const { items } = await answer.earlier;
  if (!items.length || state.answer?.lookup_id !== answer.lookup_id) return;
  const rows = items.map((r) => h("li", {}, h("strong", {}, r.case_id), ` · ${clock(r.at, true)} · `, t(`symptom_${r.symptom}`), " · ", said(r.verdict_title)));
  $("earlier")?.replaceChildren(h("h3", {}, t("report_earlier")), h("ul.small", {}, rows));
}
