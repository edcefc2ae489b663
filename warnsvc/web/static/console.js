// What every page does while it stands open: the clock, the alarm, the end of the login, the keys.
// It never acts for the officer.

import { ask, say } from "./ask.js";
import { serverNow, setServerNow, wallClock } from "./clock.js";
import { forgetKept, keepForms, onceForms } from "./keep.js";
import { soundButton, ring } from "./sound.js";

const ASK_SECONDS = 5; // Often enough for an alarm; a counted query costs next to nothing.
const STAY_SECONDS = 240; // How often a moving mouse is reported: the login lasts at least minutes.
const LEAVING_SECONDS = 75;

document.documentElement.classList.add("has-script");
setServerNow(Number(document.body.dataset.now));

tickClock();
setInterval(tickClock, 1000);
openMenu();
onceForms();
forgetSaved();
keepForms();
keys();
focusFirst();

if (document.body.dataset.csrf) {
  soundButton();
  setInterval(look, ASK_SECONDS * 1000);
  let told = Date.now();
  for (const kind of ["pointerdown", "keydown", "pointermove"]) {
    addEventListener(kind, () => {
      if (Date.now() - told < STAY_SECONDS * 1000) return;
      told = Date.now();
      ask("/stay", new URLSearchParams()).catch(() => {});
    }, { passive: true });
  }
}

function tickClock() {
  const place = document.querySelector("#clock time");
  if (place) place.textContent = wallClock(serverNow(), document.body.dataset.zone);
}

async function look() {
  if (document.hidden && !window.EventSource) return;
  let answer;
  try {
    answer = await ask("/now");
  } catch (fault) {
    if (fault.status === 401) tell(say("left"));
    return;
  }
  setServerNow(answer.now);
  for (const name of ["alarms", "tasks", "inbox", "to_sign"]) {
    const place = document.getElementById(`number-${name}`);
    if (!place) continue;
    place.textContent = answer[name];
    place.dataset.number = answer[name];
  }
  showAlarms(answer);
  tell(answer.ends - answer.now < LEAVING_SECONDS * 1000 ? say("leaving") : "");
}

function showAlarms(answer) {
  const strip = document.getElementById("alarm-strip");
  if (!strip) return;
  document.getElementById("alarm-count").textContent = answer.alarms;
  const fresh = answer.alarms > 0 && answer.last_alarm > Number(strip.dataset.last);
  strip.hidden = answer.alarms === 0;
  strip.classList.toggle("ringing", fresh);
  strip.dataset.last = Math.max(answer.last_alarm, Number(strip.dataset.last));
  if (fresh) ring();
}

function tell(sentence) {
  const note = document.getElementById("session-note");
  if (note.textContent !== sentence) note.textContent = sentence;
  note.hidden = !sentence;
}

// What an act said is said once; a page that is loaded again does not repeat it.
function forgetSaved() {
  const address = new URL(location.href);
  const said = address.searchParams.get("said");
  if (!said) return;
  if (said === "drafted" || said === "submitted") forgetKept("/bulletins/");
  address.searchParams.delete("said");
  history.replaceState(null, "", address);
}

function openMenu() {
  const button = document.querySelector(".menu-button");
  const menu = document.getElementById("menu");
  if (!button || !menu) return;
  button.addEventListener("click", () => {
    const open = menu.classList.toggle("open");
    button.setAttribute("aria-expanded", String(open));
  });
}

function keys() {
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (!search) return;
      event.preventDefault();
      search.focus();
    } else if (event.key === "g") {
      location.href = "/";
    } else if (event.key === "n") {
      const fresh = document.querySelector('a[href="/bulletins/new"]');
      if (fresh) location.href = fresh.href;
    }
  });
}

// A form that was refused: to its summary, which names every wrong field and leads to each.
function focusFirst() {
  const form = document.querySelector("form[data-wrong]");
  const wrong = form && form.dataset.wrong;
  if (!wrong) return;
  const field = form.querySelector(`[aria-invalid="true"]`);
  if (field) field.focus();
}
