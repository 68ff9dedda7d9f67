// Faultline's page: logging in, moving between its views, keys, language, appearance.
import { renderAdmin } from "./admin.js";
import { feed, listen, openIncident, renderIncidents } from "./incidents.js";
import { look, renderAnswer } from "./lookup.js";
import { renderNetwork, refreshNetwork } from "./network.js";
import { renderRanking } from "./ranking.js";
import { renderReports } from "./reports.js";
import { call, hooks, may } from "./server.js";
import { $, age, now, root, span, state, t } from "./words.js";

const VIEWS = { desk: renderAnswer, network: renderNetwork, ranking: renderRanking, reports: renderReports, admin: renderAdmin };

// -- logging in ----------------------------------------------------------------------------------------------------
function show(view) {
  document.body.dataset.view = view;
  $("login").hidden = view !== "login";
  $("desk").hidden = view !== "desk";
  if (view === "login") (localStorage.getItem("faultline-login") === "name" ? $("login-name") : $("login-key")).focus();
  else if (state.view === "desk") $("key").focus();
}

function leave(message = "") {
  state.session = null;
  state.feed?.close();
  state.follow?.close();
  state.answer = null;
  for (const id of ["answer", "network", "ranking", "reports", "admin", "user"]) $(id).replaceChildren();
  $("incident").close();
  $("account").close();
  $("user").close();
  $("login-error").textContent = message;
  $("login-error").hidden = !message;
  $("login-key").value = "";
  show("login");
}
hooks.leave = leave;

function enter(session) {
  state.session = session;
  state.skew = Date.parse(session.at) - Date.now();
  $("who").textContent = `${session.name} · ${session.role}`;
  $("who").disabled = !session.account;
  $("login-error").hidden = true;
  for (const link of document.querySelectorAll("[data-needs]")) link.hidden = !may(link.dataset.needs);
  show("desk");
  render();
  listen();
  arrive();
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [name, secret] = [$("login-name").value.trim(), $("login-key").value];
  try {
    enter(await call("POST", "/session", name ? { name, password: secret } : { key: secret }));
    localStorage.setItem("faultline-login", name ? "name" : "key");
  } catch (error) {
    $("login-error").textContent = error.status === 401 || error.status === 422 ? t(name ? "login_wrong_password" : "login_wrong") : error.message;
    $("login-error").hidden = false;
    $("login-key").select();
  }
});

$("logout").addEventListener("click", async () => {
  await call("DELETE", "/session").catch(() => {});
  leave();
});

// -- one's own password --------------------------------------------------------------------------------------------
$("who").addEventListener("click", () => {
  $("account-error").hidden = true;
  $("account").showModal();
});
$("account-close").addEventListener("click", () => $("account").close());
$("account-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await call("POST", "/session/password", { old: $("account-old").value, new: $("account-new").value });
    event.target.reset();
    leave(t("account_changed"));
  } catch (error) {
    $("account-error").textContent = error.message;
    $("account-error").hidden = false;
  }
});

// -- views ---------------------------------------------------------------------------------------------------------
const link = (view) => document.querySelector(`[data-view-link=${view}]`);

function open(view, push = true) {
  state.view = VIEWS[view] && !(state.session && link(view).hidden) ? view : "desk";
  for (const name of Object.keys(VIEWS)) $(`view-${name}`).hidden = name !== state.view;
  for (const link of document.querySelectorAll("[data-view-link]")) {
    if (link.dataset.viewLink === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (push) history.replaceState(null, "", state.view === "desk" ? "/" : `#${state.view}`);
  if (state.session) VIEWS[state.view]();
}

for (const link of document.querySelectorAll("[data-view-link]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    open(link.dataset.viewLink);
    if (state.view === "desk") $("key").focus();
  });
}

// Messages and dashboards link to #incident=ID and #line=ID; the other names are views.
function arrive() {
  const [name, ...rest] = location.hash.slice(1).split("=");
  let wanted = rest.join("=");
  try {
    wanted = decodeURIComponent(wanted);
  } catch {
    // It was not encoded: taken as it stands.
  }
  if (name === "line" && wanted) openLine(wanted);
  else open(VIEWS[name] ? name : "desk", !VIEWS[name]);
  if (name === "incident" && wanted) openIncident(wanted);
}
window.addEventListener("hashchange", () => state.session && arrive());

function openLine(key) {
  open("desk");
  $("key").value = key;
  look(key, null, null, false);
}
feed.look = openLine;
feed.changed = () => state.view === "network" && refreshNetwork();

function render() {
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
  for (const element of document.querySelectorAll("[data-t-placeholder]")) element.placeholder = t(element.dataset.tPlaceholder);
  for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", button.dataset.language === state.language);
  root.lang = state.language;
  if (!state.session) return;
  renderIncidents();
  open(state.view, false);
}

// -- search and keys -----------------------------------------------------------------------------------------------
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  look($("key").value.trim());
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select");
  const modal = document.querySelector("dialog[open]");
  if (event.key === "Escape" && !modal && state.session) {
    state.follow?.close();
    state.answer = null;
    $("key").value = "";
    open("desk");
    $("key").focus();
  } else if (event.key === "/" && !typing && state.session && !modal) {
    event.preventDefault();
    open("desk");
    $("key").focus();
    $("key").select();
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && state.view === "desk") {
    event.preventDefault();
    $("log")?.click();
  } else if (/^[1-9]$/.test(event.key) && !event.ctrlKey && !event.metaKey && (!typing || event.altKey)) {
    document.querySelector(`[data-digit="${event.key}"]`)?.click();
  }
});

// -- language and appearance ---------------------------------------------------------------------------------------
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
setInterval(() => state.session && state.view === "network" && !document.hidden && refreshNetwork(), 10_000);

render();
call("GET", "/session").then(enter).catch(() => show("login"));
