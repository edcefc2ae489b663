// Choosing regions: a tree whose branches are fetched when they are opened, a search, and the list
// of what is chosen, which alone is sent with the form. A region inside a chosen one is shown as
// included and cannot be chosen again.

import { ask, say } from "./ask.js";

const SEARCH_AFTER = 250;

export class Picker {
  constructor(place, form) {
    this.place = place;
    this.form = form;
    this.list = document.getElementById("picked");
    this.none = document.getElementById("picked-none");
    for (const item of document.querySelectorAll("#region-tree > ul > li")) this.#grow(item, []);
    for (const item of this.list.querySelectorAll("li")) this.#watch(item);
    this.#search();
    this.#marks();
  }

  codes() {
    return [...this.list.querySelectorAll("input:checked")].map((box) => box.value);
  }

  restore(fields) {
    const wanted = fields.filter(([name]) => name === "regions").map(([, code]) => code);
    const known = new Set(this.codes());
    for (const code of wanted) if (!known.has(code)) this.#add(code, code);
    this.#changed();
  }

  // Tree ------------------------------------------------------------------------------------

  #grow(item, above) {
    const { code, name, headcount } = item.dataset;
    const children = Number(item.dataset.children);
    item.trail = above;
    const choice = document.createElement("label");
    choice.className = "choice";
    const box = Object.assign(document.createElement("input"), { type: "checkbox" });
    box.dataset.pick = code;
    box.addEventListener("change", () => {
      if (box.checked) this.#add(code, item.dataset.path, above);
      else this.#drop(code);
      this.#changed();
    });
    const words = document.createElement("span");
    words.textContent = Number(headcount) ? `${name} · ${Number(headcount).toLocaleString("en")} ${say("people", this.place)}` : name;
    choice.append(box, words);
    if (!children) {
      const leaf = document.createElement("div");
      leaf.className = "leaf";
      leaf.append(choice);
      item.append(leaf);
      return;
    }
    const branch = document.createElement("details");
    const handle = document.createElement("summary");
    handle.textContent = `${name} · ${children}`;
    const list = document.createElement("ul");
    const whole = document.createElement("li");
    whole.append(choice);
    list.append(whole);
    branch.append(handle, list);
    branch.addEventListener("toggle", () => this.#open(branch, list, item));
    item.append(branch);
    if (above.length === 0) branch.open = true;
  }

  async #open(branch, list, item) {
    if (!branch.open || branch.dataset.filled) return;
    branch.dataset.filled = "yes";
    let regions;
    try {
      regions = await ask(`/regions/children?of=${encodeURIComponent(item.dataset.code)}`);
    } catch {
      delete branch.dataset.filled;
      branch.open = false;
      branch.querySelector("summary").title = say("failed", this.place);
      return;
    }
    for (const region of regions) {
      const child = document.createElement("li");
      Object.assign(child.dataset, {
        code: region.code, name: region.name, headcount: region.headcount,
        children: region.children, path: `${item.dataset.path} / ${region.name}`,
      });
      this.#grow(child, [...item.trail, item.dataset.code]);
      list.append(child);
    }
    // A province with one prefecture with one county: straight to where there is a choice.
    if (regions.length === 1) list.querySelectorAll("details").forEach((only) => { only.open = true; });
    this.#marks();
  }

  // Search ----------------------------------------------------------------------------------

  #search() {
    const field = document.getElementById("region-search");
    const found = document.getElementById("region-found");
    let timer = 0;
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#find(field.value.trim(), found), SEARCH_AFTER);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault(); // Enter must not send the form.
    });
  }

  async #find(text, found) {
    found.hidden = !text;
    if (!text) return;
    let regions = [];
    try {
      regions = await ask(`/regions/search?q=${encodeURIComponent(text)}`);
    } catch {
      return;
    }
    const list = found.querySelector("ul");
    list.replaceChildren(...regions.map((region) => {
      const item = document.createElement("li");
      const choice = document.createElement("label");
      choice.className = "choice";
      const box = Object.assign(document.createElement("input"), { type: "checkbox" });
      box.dataset.pick = region.code;
      box.addEventListener("change", () => {
        if (box.checked) this.#add(region.code, region.path.join(" / "));
        else this.#drop(region.code);
        this.#changed();
      });
      const words = document.createElement("span");
      words.textContent = region.path.join(" / ");
      choice.append(box, words);
      item.append(choice);
      return item;
    }));
    if (!regions.length) {
      const item = document.createElement("li");
      item.textContent = say("none", this.place);
      list.append(item);
    }
    this.#marks();
  }

  // What is chosen ----------------------------------------------------------------------------

  #add(code, path, above = []) {
    if (this.codes().includes(code)) return;
    const item = document.createElement("li");
    item.dataset.code = code;
    const choice = document.createElement("label");
    choice.className = "choice";
    const box = Object.assign(document.createElement("input"), {
      type: "checkbox", name: "regions", value: code, checked: true,
    });
    const words = document.createElement("span");
    words.textContent = path;
    choice.append(box, words);
    item.append(choice);
    this.list.append(item);
    this.#watch(item);
    this.#dropBelow(code);
  }

  // Whatever lies inside the region that was just chosen is chosen already.
  #dropBelow(code) {
    for (const below of document.querySelectorAll("#region-tree li[data-code]")) {
      if (below.trail?.includes(code)) this.#drop(below.dataset.code);
    }
  }

  #drop(code) {
    this.list.querySelector(`li[data-code="${CSS.escape(code)}"]`)?.remove();
  }

  #watch(item) {
    item.querySelector("input").addEventListener("change", () => {
      const next = item.nextElementSibling || item.previousElementSibling;
      item.remove();
      (next?.querySelector("input") || document.getElementById("region-search")).focus();
      this.#changed();
    });
  }

  #changed() {
    this.none.hidden = this.list.children.length > 0;
    this.#marks();
    this.form.dispatchEvent(new Event("input"));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#held(), 300);
  }

  #marks() {
    const chosen = new Set(this.codes());
    for (const item of document.querySelectorAll("#region-tree li[data-code]")) {
      const box = item.querySelector("input[data-pick]");
      const included = item.trail?.some((code) => chosen.has(code));
      box.checked = included || chosen.has(item.dataset.code);
      box.disabled = Boolean(included);
      box.title = included ? say("include", this.place) : "";
    }
    for (const box of document.querySelectorAll("#region-found input[data-pick]")) {
      box.checked = chosen.has(box.dataset.pick);
    }
  }

  async #held() {
    const fields = new URLSearchParams(this.codes().map((code) => ["regions", code]));
    const choice = document.getElementById("choice");
    const bare = document.getElementById("choice-bare");
    if (![...fields].length) {
      choice.textContent = "";
      bare.hidden = true;
      return;
    }
    try {
      const held = await ask("/bulletins/choice", fields);
      choice.textContent = held.sentence;
      bare.textContent = held.bare;
      bare.hidden = !held.bare;
    } catch {
      choice.textContent = "";
    }
  }
}
