// Purges: the form, the buttons of the tables, and what each purge did.

import { say } from "./tiles.js";

/** Time in which a button waits for its confirmation, in milliseconds. */
const CONFIRM_TIME = 6000;
const byId = (id) => document.getElementById(id);
let token = "";
let afterPurge = () => {};

export const authorization = () => token ? { Authorization: `Bearer ${token}` } : {};

/** Shows the field for the admin token. */
export function askForToken() {
  byId("token-label").hidden = false;
}

/** Sets up the form. `refresh` is called after each purge. */
export function startPurges(refresh) {
  afterPurge = refresh;
  byId("purge").addEventListener("submit", (event) => {
    event.preventDefault();
    purge(byId("purge-file").value);
  });
}

/** Returns the button that purges a file. A purge cannot be undone, so it takes two clicks. */
export function purgeButton(file) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  let timer;
  const disarm = () => {
    clearTimeout(timer);
    button.classList.remove("armed");
    button.textContent = "Purge";
    button.setAttribute("aria-label", `Purge ${file}`);
  };
  disarm();
  button.addEventListener("click", () => {
    if (!button.classList.contains("armed")) {
      button.classList.add("armed");
      button.textContent = "Confirm";
      button.setAttribute("aria-label", `Confirm the purge of ${file}`);
      timer = setTimeout(disarm, CONFIRM_TIME);
      return;
    }
    disarm();
    // Without the focus on its button, the table updates again.
    button.blur();
    byId("purge-file").value = file;
    purge(file);
  });
  button.addEventListener("blur", disarm);
  button.addEventListener("keydown", (event) => event.key === "Escape" && disarm());
  return button;
}

async function purge(file) {
  const isSoft = byId("purge-soft").checked;
  token = byId("token").value || token;
  try {
    const path = `/api/cache/${encodeURIComponent(file)}${isSoft ? "?soft=true" : ""}`;
    const answer = await fetch(path, { method: "DELETE", headers: authorization() });
    const result = await answer.json();
    if (answer.ok) return say("purge-said", result.message, result.responses ? "good" : "warn");
    if (answer.status === 401) {
      askForToken();
      byId("token").focus();
      return say("purge-said", `${file} is not purged: enter the admin token and submit the form.`, "bad");
    }
    say("purge-said", result.message ?? `status ${answer.status}`, "bad");
  } catch (error) {
    say("purge-said", `${file} may not be purged: no answer from the gateway (${error.message})`, "bad");
  } finally {
    afterPurge();
  }
}
