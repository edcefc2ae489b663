// Forms: sent once however often the button is pressed, and kept in this browser's tab until they
// have been accepted, so that a login that ends does not eat a warning.

import { say } from "./ask.js";

export function onceForms() {
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "yes";
      const button = event.submitter;
      if (button) {
        button.setAttribute("aria-disabled", "true");
        button.dataset.words = button.textContent;
        button.textContent = say("sending");
      }
    });
  }
  // Back from the next page: the browser shows the old page as it was left.
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("[aria-disabled]")) {
        button.removeAttribute("aria-disabled");
        if (button.dataset.words) button.textContent = button.dataset.words;
      }
    }
  });
  for (const form of document.querySelectorAll("form[data-sure]")) {
    form.addEventListener("submit", (event) => {
      if (!confirm(form.dataset.sure)) event.preventDefault();
    });
  }
}

export function keepForms() {
  for (const form of document.querySelectorAll("form[data-keep]")) keep(form);
}

function keep(form) {
  const key = `warnsvc-form ${form.dataset.keep}`;
  const before = sessionStorage.getItem(key);
  const note = document.getElementById("kept");
  if (before && before !== read(form) && !form.dataset.wrong && note) {
    note.hidden = false;
    document.getElementById("kept-use").addEventListener("click", () => {
      note.hidden = true;
      write(form, JSON.parse(before));
    });
    document.getElementById("kept-drop").addEventListener("click", () => {
      note.hidden = true;
      sessionStorage.removeItem(key);
    });
  }
  form.addEventListener("input", () => sessionStorage.setItem(key, read(form)));
  form.addEventListener("submit", () => sessionStorage.setItem(key, read(form)));
  form.dispatchEvent(new CustomEvent("kept-ready"));
}

// A page that shows what was saved forgets what was kept: called by the page after the form.
export function forgetKept(prefix) {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith(`warnsvc-form ${prefix}`)) sessionStorage.removeItem(key);
  }
}

function read(form) {
  const fields = [...new FormData(form)].filter(([name, value]) => name !== "csrf" && typeof value === "string");
  return JSON.stringify(fields);
}

function write(form, fields) {
  form.dispatchEvent(new CustomEvent("kept", { detail: fields }));
  const seen = new Set(fields.map(([name]) => name));
  for (const [name, value] of fields) {
    const control = form.elements[name];
    if (!control) continue;
    if (control instanceof RadioNodeList) {
      for (const one of control) if (one.type === "radio") one.checked = one.value === value;
    } else if (control.type === "checkbox") {
      control.checked = true;
    } else {
      control.value = value;
    }
  }
  if (seen.size) form.dispatchEvent(new Event("input", { bubbles: true }));
  for (const radio of form.querySelectorAll("input[type=radio]:checked")) {
    radio.dispatchEvent(new Event("change", { bubbles: true }));
  }
}
