// Keeps the phones page up to date: listens for "something moved", fetches the shelf as the server
// renders it, and replaces the phones that changed. Buttons work without it.

const REFRESH_PAUSE = 350; // ms between two fetches: a county of phones may ring at once
const TYPING_PAUSE = 200; // ms after the last key before a search starts
const SAID_TIME = 5000; // ms that a refusal stays on the screen

const say = document.body.dataset;
const live = document.getElementById("live");
const said = document.getElementById("said");
const moved = document.getElementById("moved");
const search = document.querySelector("form.search");
const shelf = () => document.getElementById("shelf");

// --- staying up to date -----------------------------------------------------------------------

let fetching = false;
let again = null; // Asked for meanwhile: whether to reorder, too. A search must not be lost here.

async function refresh(reorder = false) {
  if (fetching) {
    again = reorder || again === true;
    return;
  }
  fetching = true;
  try {
    const asked = address();
    const answer = await fetch(`${asked}${asked.includes("?") ? "&" : "?"}part=shelf`);
    if (answer.ok) show(await answer.text(), reorder);
  } catch {
    // The event stream says whether we are connected; the next event tries again.
  }
  setTimeout(() => {
    fetching = false;
    if (again !== null) {
      const meanwhile = again;
      again = null;
      refresh(meanwhile);
    }
  }, REFRESH_PAUSE);
}

function address() {
  const wanted = new URLSearchParams(new FormData(search));
  if (!wanted.get("q")) wanted.delete("q");
  return wanted.size ? `/?${wanted}` : "/";
}

function show(html, reorder) {
  const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("shelf");
  for (const part of fresh.querySelectorAll(":scope > [data-key]")) {
    replaceIfChanged(shelf().querySelector(`:scope > [data-key="${part.dataset.key}"]`), part);
  }
  const list = shelf().querySelector(".phones");
  const wanted = [...fresh.querySelectorAll(".phone")];
  const present = new Map([...list.children].map((phone) => [phone.dataset.key, phone]));
  for (const phone of wanted) {
    const old = present.get(phone.dataset.key);
    if (old) replaceIfChanged(old, phone);
  }
  // While somebody is about to press a button, phones stay where they are.
  const order = wanted.map((phone) => phone.dataset.key);
  const now = [...list.children].map((phone) => phone.dataset.key);
  const differs = order.join() !== now.join();
  if (differs && !reorder && held() && now.length) {
    moved.hidden = false;
    return;
  }
  moved.hidden = true;
  if (differs) arrange(list, wanted);
}

function arrange(list, wanted) {
  const focus = remember();
  const present = new Map([...list.children].map((phone) => [phone.dataset.key, phone]));
  list.replaceChildren(...wanted.map((phone) => present.get(phone.dataset.key) ?? phone));
  for (const phone of wanted) scrollDown(present.get(phone.dataset.key) ?? phone);
  restore(focus);
}

function replaceIfChanged(old, fresh) {
  if (!old || old.dataset.revision === fresh.dataset.revision) return;
  const focus = old.contains(document.activeElement) ? remember() : null;
  const typed = old.querySelector('input[name="text"]')?.value ?? "";
  for (const details of fresh.querySelectorAll("details[data-open]")) {
    details.open = old.querySelector(`details[data-open="${details.dataset.open}"]`)?.open ?? false;
  }
  old.replaceWith(fresh);
  const field = fresh.querySelector('input[name="text"]');
  if (field) field.value = typed;
  scrollDown(fresh);
  restore(focus);
}

function scrollDown(phone) {
  const screen = phone.querySelector(".screen");
  if (screen) screen.scrollTop = screen.scrollHeight;
}

// --- not moving under somebody's hand ------------------------------------------------------------

let pointed = false;

function held() {
  return pointed || shelf().querySelector(".phones").contains(document.activeElement);
}

document.addEventListener("pointerover", (event) => {
  pointed = event.pointerType === "mouse" && Boolean(event.target.closest?.(".phone"));
});
document.documentElement.addEventListener("pointerleave", () => (pointed = false));
moved.addEventListener("click", () => refresh(true));

function remember() {
  const active = document.activeElement;
  const phone = active?.closest?.(".phone");
  if (!phone) return null;
  return { phone: phone.dataset.key, focus: active.dataset.focus, at: active.selectionStart };
}

function restore(focus) {
  if (!focus) return;
  const phone = shelf().querySelector(`.phone[data-key="${CSS.escape(focus.phone)}"]`);
  // The button that was pressed may be gone: stay on the same phone.
  const target = phone?.querySelector(`[data-focus="${focus.focus}"]`) ?? phone?.querySelector("button");
  target?.focus({ preventScroll: true });
  if (focus.at !== null && focus.at !== undefined && target?.setSelectionRange) {
    target.setSelectionRange(focus.at, focus.at);
  }
}

// --- the event stream ------------------------------------------------------------------------------

const stream = new EventSource("/live");
stream.addEventListener("open", () => state("on", say.sayLive));
stream.addEventListener("error", () => state("off", say.sayLost));
stream.addEventListener("message", (event) => {
  if (event.data !== shelf().dataset.version) refresh();
  shelf().dataset.version = event.data;
});

function state(name, words) {
  live.dataset.state = name;
  if (live.textContent !== words) live.textContent = words;
}

// --- buttons, fields and the search ------------------------------------------------------------------

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  event.preventDefault();
  const button = event.submitter;
  button?.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form, button)),
    });
    if (answer.ok) form.querySelector('input[name="text"]:not([type="hidden"])')?.form.reset();
    else complain(answer.status === 409 ? say.saySilent : say.sayFailed);
  } catch {
    complain(say.sayFailed);
  }
  button?.removeAttribute("aria-busy");
  refresh();
});

let quiet;

function complain(words) {
  clearTimeout(quiet);
  said.textContent = words;
  said.hidden = false;
  quiet = setTimeout(() => (said.hidden = true), SAID_TIME);
}

let typing;

function searched(pause) {
  clearTimeout(typing);
  typing = setTimeout(() => {
    history.replaceState(null, "", address());
    refresh(true);
  }, pause);
}

search.addEventListener("input", () => searched(TYPING_PAUSE));
search.addEventListener("submit", (event) => {
  event.preventDefault();
  searched(0);
});

for (const phone of document.querySelectorAll(".phone")) scrollDown(phone);
