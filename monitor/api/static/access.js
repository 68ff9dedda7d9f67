// Who may come in: accounts and keys, made, changed and ended by an administrator.
import { h } from "./dom.js";
import { table } from "./network.js";
import { call } from "./server.js";
import { $, clock, t } from "./words.js";

const PEOPLE = ["agent", "lead", "noc", "admin"];
const ROLES = [...PEOPLE, "probe"];

export function accountsPanel() {
  const told = h("p.small", { role: "status" });
  const [name, role, regions, password] = [text({ required: true, maxlength: 100, autocomplete: "off" }), roles(PEOPLE), text({ maxlength: 2000 }), secret(true)];
  const form = grid([["user_name", name], ["role", role], ["regions_given", regions], ["user_password", password]], "user_add");
  submits(form, told, async () => {
    await call("POST", "/users", { name: name.value.trim(), role: role.value, regions: listed(regions), password: password.value });
    form.reset();
    await fillUsers();
    return t("user_added");
  });
  return panel("users", h("div", { id: "user-list" }), h("details.plan", { id: "user-add" }, h("summary", {}, t("user_add")), form, told));
}

export function keysPanel() {
  const told = h("div", { role: "status", id: "key-made" });
  const [name, role, regions, days] = [text({ required: true, maxlength: 100, autocomplete: "off" }), roles(ROLES), text({ maxlength: 2000 }), text({ inputmode: "numeric", pattern: "[0-9]{1,4}" })];
  const form = grid([["key_name", name], ["role", role], ["regions_given", regions], ["key_days", days]], "key_add");
  submits(form, told, async () => {
    const made = await call("POST", "/keys", { name: name.value.trim(), role: role.value, regions: listed(regions), days: days.value ? Number(days.value) : null });
    form.reset();
    await fillKeys();
    return [h("p", {}, t("key_once")), h("p", {}, h("code.secret", { tabindex: 0 }, made.key))];
  });
  return panel("keys", h("div", { id: "key-list" }), h("details.plan", { id: "key-add" }, h("summary", {}, t("key_add")), form, told));
}

export async function fillUsers() {
  await filled("user-list", async () => {
    const { items } = await call("GET", "/users");
    const rows = items.map((u) => h("tr", {}, h("td", {}, u.name), h("td", {}, u.role), h("td", {}, within(u)), when(u.created_at), when(u.last_login_at, "never"), h("td", {}, h("span.chip", {}, t(u.disabled_at ? "access_disabled" : "access_valid"))),
      h("td", {}, h("button.mini", { type: "button", "aria-label": `${t("change")}: ${u.name}`, onclick: () => openAccount(u) }, t("change")))));
    return items.length ? table(["user_name", "role", "regions", "access_made", "user_last", "access_state", ""], rows, "users") : h("p.muted", {}, t("users_none"));
  });
}

export async function fillKeys() {
  await filled("key-list", async () => {
    const { items } = await call("GET", "/keys");
    const rows = items.map((k) => {
      const how = k.revoked_at ? "access_revoked" : k.expires_at && Date.parse(k.expires_at) < Date.now() ? "access_expired" : "access_valid";
      const end = how === "access_valid" ? twice("revoke", "revoke_really", `${t("revoke")}: ${k.name} (${k.key_id})`, () => call("DELETE", `/keys/${encodeURIComponent(k.key_id)}`).then(fillKeys)) : null;
      return h("tr", {}, h("td", {}, k.name), h("td", {}, k.key_id), h("td", {}, k.role), h("td", {}, within(k)), when(k.created_at), when(k.expires_at, "key_always"), when(k.last_used_at, "never"), h("td", {}, h("span.chip", {}, t(how))), h("td", {}, end));
    });
    return items.length ? table(["key_name", "key_id", "role", "regions", "access_made", "key_until", "key_used", "access_state", ""], rows, "keys") : h("p.muted", {}, t("keys_none"));
  });
}

// -- one account ---------------------------------------------------------------------------------------------------
function openAccount(user) {
  const sheet = $("user");
  const url = `/users/${encodeURIComponent(user.name)}`;
  const told = h("p.error", { role: "alert" });
  const [role, regions, password] = [roles(PEOPLE), text({ maxlength: 2000 }), secret(false)];
  role.value = user.role;
  regions.value = user.regions.join(", ");
  const done = async (work) => {
    try {
      await work();
      sheet.close();
      await fillUsers();
    } catch (error) {
      told.textContent = error.message;
    }
  };
  const form = h("form.part.account", {}, h("h2", { id: "user-title" }, `${t("user")}: ${user.name}`), label("role", role), label("regions_given", regions), user.external ? null : label("user_password_new", password), told,
    h("div.tools", {}, h("button.primary", {}, t("save")), h("button", { type: "button", id: "user-disable", onclick: () => done(() => call("PATCH", url, { disabled: !user.disabled_at })) }, t(user.disabled_at ? "enable" : "disable")),
      twice("remove", "remove_really", `${t("remove")}: ${user.name}`, () => done(() => call("DELETE", url))), h("button", { type: "button", onclick: () => sheet.close() }, t("incident_close"))));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const change = { role: role.value, regions: listed(regions) };
    if (password.value) change.password = password.value;
    done(() => call("PATCH", url, change));
  });
  sheet.replaceChildren(form);
  sheet.showModal();
}

// -- parts ---------------------------------------------------------------------------------------------------------
const text = (attributes) => h("input", { type: "text", spellcheck: "false", autocapitalize: "off", ...attributes });
const secret = (required) => h("input", { type: "password", autocomplete: "new-password", minlength: 10, maxlength: 200, required });
const roles = (names) => h("select", {}, names.map((name) => h("option", { value: name }, name)));
const label = (name, field) => h("label", {}, t(name), field);
const listed = (field) => field.value.split(",").map((part) => part.trim()).filter(Boolean);
const within = (one) => one.regions.join(", ") || t("regions_all");
const when = (at, none) => h("td", {}, at ? clock(at, true) : t(none));
const grid = (fields, button) => h("form.grid-form", {}, fields.map(([name, field]) => label(name, field)), h("button", {}, t(button)));

function panel(name, ...parts) {
  return h("section.card.panel", { "aria-labelledby": `${name}-title` }, h("h2", { id: `${name}-title` }, t(name)), ...parts);
}

// What cannot be taken back is asked for twice, on the button itself.
function twice(name, really, spoken, work) {
  const button = h("button.mini", { type: "button", "aria-label": spoken }, t(name));
  button.addEventListener("click", () => {
    if (button.dataset.asked) return void Promise.resolve(work()).catch((error) => (button.textContent = error.message));
    button.dataset.asked = "yes";
    button.classList.add("danger");
    button.textContent = t(really);
    button.setAttribute("aria-label", `${t(really)} ${spoken}`);
  });
  return button;
}

function submits(form, told, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const said = await work();
      told.className = "small";
      told.replaceChildren(...(typeof said === "string" ? [`✓ ${said}`] : said));
    } catch (error) {
      told.className = "small error";
      told.replaceChildren(error.message);
    }
  });
}

async function filled(id, make) {
  let made;
  try {
    made = await make();
  } catch (error) {
    made = h("p.error", {}, error.message);
  }
  $(id)?.replaceChildren(made);
}
