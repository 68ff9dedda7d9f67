// Requests to the API, with the token that a write by cookie needs.
import { state, t } from "./words.js";

export const hooks = { leave: () => {} };

export class Failed extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function call(method, path, body) {
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
  if (response.status === 401 && state.session) hooks.leave(t("login_ended"));
  throw new Failed(response.status, answer.detail ?? t("error"));
}
export const may = (permission) => state.session?.permissions.includes(permission);
