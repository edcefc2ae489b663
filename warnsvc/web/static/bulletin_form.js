// The bulletin form: the region tree, live counts, the phone's view, a text to start from.

import { ask, fill, say } from "./ask.js";
import { count } from "./segment.js";
import { Picker } from "./picker.js";

const PREVIEW_AFTER = 500; // milliseconds without typing
const form = document.getElementById("bulletin-form");
let timer = 0;
let running = null;
const picker = new Picker(document.getElementById("picker"), form);

for (const group of ["status", "colour"]) {
  for (const radio of form.querySelectorAll(`input[name="${group}"]`)) {
    radio.addEventListener("change", () => {
      for (const other of form.querySelectorAll(`input[name="${group}"]`)) {
        other.closest("label").classList.toggle("chosen", other.checked);
      }
      previewSoon();
    });
  }
}

for (const area of form.querySelectorAll("textarea[data-language]")) {
  area.addEventListener("input", () => {
    showCount(area);
    previewSoon();
  });
  showCount(area);
}
for (const name of ["hazard", "onset_at", "expires_at"]) {
  form.elements[name].addEventListener("change", previewSoon);
}

for (const button of form.querySelectorAll("[data-hours]")) {
  button.addEventListener("click", () => {
    const onset = form.elements.onset_at.value;
    if (!onset) return;
    // Both fields are the desk's local time, so the arithmetic may pretend that they are UTC.
    const end = new Date(Date.parse(`${onset}:00Z`) + Number(button.dataset.hours) * 3600e3);
    form.elements.expires_at.value = end.toISOString().slice(0, 16);
    form.elements.expires_at.dispatchEvent(new Event("change"));
    form.dispatchEvent(new Event("input"));
  });
}

document.getElementById("starter").addEventListener("click", startText);
form.addEventListener("kept", (event) => picker.restore(event.detail));
previewSoon();

function fields() {
  return new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === "string"));
}

function showCount(area) {
  const place = form.querySelector(`[data-counts="${area.dataset.language}"]`);
  const text = area.value.trim();
  place.textContent = text ? fill(place.dataset.say, count(text)) : "";
}

function previewSoon() {
  clearTimeout(timer);
  timer = setTimeout(preview, PREVIEW_AFTER);
}

async function preview() {
  running?.abort();
  running = new AbortController();
  let messages;
  try {
    messages = await ask("/bulletins/preview", fields(), running);
  } catch {
    return; // The next key asks again; the page that follows shows it in any case.
  }
  showPhones(messages);
}

function showPhones(messages) {
  const place = document.getElementById("phones");
  const template = document.getElementById("phone-template");
  for (const line of form.querySelectorAll("[data-sent]")) line.textContent = "";
  for (const list of form.querySelectorAll("[data-notes]")) showNotes(list, messages);
  if (!messages.length) return;
  place.replaceChildren(
    ...messages.filter((message) => message.channel === "sms").map((message) => {
      const phone = template.content.cloneNode(true);
      phone.querySelector(".phone-name").textContent = message.name;
      const bubble = phone.querySelector(".bubble");
      bubble.textContent = message.text;
      bubble.lang = message.language;
      bubble.dir = ["ug", "kk-Arab"].includes(message.language) ? "rtl" : "ltr";
      const line = form.querySelector(`[data-sent="${message.language}"]`);
      const sizes = fill(line.dataset.say, message);
      phone.querySelector(".small").textContent = sizes;
      line.textContent = sizes;
      return phone;
    }),
  );
}

// What carriers make of a text: rewritten only when it says something else, or a screen reader
// would read it out after every key.
function showNotes(list, messages) {
  const message = messages.find((one) => one.channel === "sms" && one.language === list.dataset.notes);
  const notes = message?.notes ?? [];
  if (notes.join("\n") === list.dataset.shown) return;
  list.dataset.shown = notes.join("\n");
  list.hidden = !notes.length;
  list.replaceChildren(
    ...notes.map((note) => {
      const item = document.createElement("li");
      item.textContent = `! ${note}`;
      return item;
    }),
  );
}

async function startText() {
  const failed = document.getElementById("starter-failed");
  failed.hidden = true;
  let texts;
  try {
    texts = await ask("/bulletins/starter", fields());
  } catch {
    failed.hidden = false;
    return;
  }
  for (const area of form.querySelectorAll("textarea[data-language]")) {
    const text = texts[area.dataset.language];
    if (!text || area.value.trim()) continue;
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
