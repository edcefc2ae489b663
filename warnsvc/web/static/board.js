// The live board. The server sends what has changed; this puts it in its place, counts down, and
// never moves anything that the officer is pointing at or has the focus on.

import { ask, fill, say } from "./ask.js";
import { countdown, serverNow, setServerNow } from "./clock.js";

const TONES = { pending: "idle", calling: "busy", answered: "good", exhausted: "bad", lifted: "off", expired: "bad" };
const ORDER = { exhausted: 0, expired: 0, calling: 1, pending: 2, answered: 3, lifted: 4 };
const OPEN = new Set(["pending", "calling", "exhausted", "expired"]);
const PARTS = ["answered", "late", "calling", "exhausted", "pending", "ended"];
const SPEAK_SECONDS = 20; // A screen reader hears the sum this often, not every change.
const REFILL_SECONDS = 2; // What is open of a large board is fetched no oftener than this.
const QUIET_SECONDS = 15; // The server beats every 5 s; after this the line is dead.

const board = document.getElementById("board");
const states = board ? JSON.parse(board.dataset.states) : {};
const cells = new Map(); // id → { cell, items }
let heard = Date.now();
let spoken = 0;
let filledAt = 0;
let refilling = 0;
let source = null;

if (board) start();

function start() {
  for (const chip of board.querySelectorAll(".chip")) {
    chip.addEventListener("click", () => filter(chip));
  }
  for (const town of board.querySelectorAll(".town")) {
    town.addEventListener("toggle", () => openTown(town));
  }
  for (const item of board.querySelectorAll(".town .cell-item")) {
    cells.set(Number(item.dataset.id), { cell: null, item });
  }
  tick();
  setInterval(tick, 1000);
  listen();
}

function listen() {
  source?.close();
  source = new EventSource(`/bulletins/${board.dataset.bulletin}/live`);
  source.onmessage = (event) => {
    heard = Date.now();
    const message = JSON.parse(event.data);
    link(message.stale ? "broken" : "live");
    show(message);
  };
  source.onerror = () => link("broken");
}

function link(state) {
  const place = document.getElementById("link");
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  place.textContent = say(state, board);
}

// Messages ------------------------------------------------------------------------------------

function show(message) {
  setServerNow(message.now);
  if (!message.sum) return;
  for (const row of message.cells) put(unpack(row));
  for (const [code, counts] of Object.entries(message.towns)) putTown(code, counts);
  if (message.whole === false) refill();
  putSum(message.sum, message.people);
  putUrgent(message.urgent.map(unpack));
  if (message.state && message.state !== board.dataset.shownState) location.reload();
}

function unpack([id, town, name, state, tier, deadline, late, closed, townName]) {
  return { id, town, name, state, tier, deadline, late: Boolean(late), closed, townName };
}

function put(cell) {
  const known = cells.get(cell.id);
  if (known) {
    known.cell = cell;
    draw(known.item, cell);
    place(known.item, cell);
    return;
  }
  const town = townOf(cell.town);
  if (!town || !town.dataset.filled) return; // A closed group: it is fetched when it is opened.
  const item = fresh(cell);
  cells.set(cell.id, { cell, item });
  town.querySelector(".cells").append(item);
  place(item, cell);
}

function fresh(cell, withTown = false) {
  const item = document.getElementById("cell-template").content.firstElementChild.cloneNode(true);
  item.dataset.id = cell.id;
  item.querySelector("a").href = `/escalations/${cell.id}`;
  item.querySelector(".cell-name").textContent = withTown ? `${cell.townName} ${cell.name}` : cell.name;
  draw(item, cell);
  return item;
}

function draw(item, cell) {
  const late = cell.late && cell.state === "answered";
  const [words, sign] = states[late ? "late" : cell.state] || [cell.state, "?"];
  const tone = late ? "late" : TONES[cell.state] || "off";
  item.dataset.tone = tone;
  item.dataset.open = OPEN.has(cell.state) ? "yes" : "no";
  item.querySelector(".cell").dataset.tone = tone;
  item.querySelector(".cell-sign").textContent = sign;
  item.querySelector(".cell-words").textContent =
    words + (cell.state === "calling" ? fill(say("tier", board), { n: cell.tier }) : "");
  const left = item.querySelector(".countdown");
  left.dataset.deadline = cell.deadline;
  showLeft(left);
}

// The most urgent first: nobody answered, then the oldest deadline, then by name.
function rank(cell) {
  const time = cell.state === "exhausted" ? cell.closed : cell.deadline;
  return [ORDER[cell.state] ?? 9, time, cell.name, cell.id];
}

function before(one, other) {
  const [a, b] = [rank(one), rank(other)];
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return a[at] < b[at];
  return false;
}

function place(item, cell) {
  const list = item.parentElement;
  if (list.matches(":hover") || list.contains(document.activeElement)) return;
  for (const other of list.children) {
    if (other === item) continue;
    const known = cells.get(Number(other.dataset.id))?.cell;
    if (known && before(cell, known)) {
      if (item.nextElementSibling !== other) list.insertBefore(item, other);
      return;
    }
  }
  if (list.lastElementChild !== item && [...list.children].every((other) => cells.get(Number(other.dataset.id))?.cell)) {
    list.append(item);
  }
}

// Groups --------------------------------------------------------------------------------------

function townOf(code) {
  return board.querySelector(`.town[data-code="${CSS.escape(code)}"]`);
}

function putTown(code, counts) {
  const town = townOf(code);
  if (!town) return;
  const sum = totals(counts);
  town.dataset.open = sum.total - sum.done - sum.ended;
  town.dataset.bad = sum.exhausted;
  for (const place of town.querySelectorAll("[data-count]")) {
    place.textContent = sum[place.dataset.count];
    const chip = place.closest("[data-number]");
    if (chip) chip.dataset.number = sum[place.dataset.count];
  }
  drawBar(town.querySelector(".bar"), sum);
}

function totals(counts) {
  const sum = { pending: 0, calling: 0, answered: 0, late: 0, exhausted: 0, ended: 0 };
  for (const name of Object.keys(sum)) sum[name] = counts[name] || 0;
  sum.total = PARTS.reduce((all, name) => all + sum[name], 0);
  sum.done = sum.answered + sum.late;
  return sum;
}

function drawBar(bar, sum) {
  let x = 0;
  PARTS.forEach((name, at) => {
    const width = sum.total ? (sum[name] * 1000) / sum.total : 0;
    const part = bar.children[at];
    part.setAttribute("x", x.toFixed(2));
    part.setAttribute("width", width.toFixed(2));
    x += width;
  });
}

async function openTown(town) {
  if (!town.open || town.dataset.filled) return;
  town.dataset.filled = "yes";
  let rows;
  try {
    rows = await ask(`/bulletins/${board.dataset.bulletin}/board.json?town=${encodeURIComponent(town.dataset.code)}`);
  } catch {
    delete town.dataset.filled;
    town.open = false;
    return;
  }
  const list = town.querySelector(".cells");
  list.replaceChildren();
  for (const row of rows) {
    const cell = unpack(row);
    const item = fresh(cell);
    cells.set(cell.id, { cell, item });
    list.append(item);
  }
}

// After a break in the line, or when too much changed at once, what is open is fetched anew.
function refill() {
  clearTimeout(refilling);
  const rest = filledAt + REFILL_SECONDS * 1000 - Date.now();
  if (rest > 0) {
    refilling = setTimeout(refill, rest);
    return;
  }
  filledAt = Date.now();
  for (const town of board.querySelectorAll(".town[open][data-filled]")) {
    delete town.dataset.filled;
    openTown(town);
  }
}

// Sums ----------------------------------------------------------------------------------------

function putSum(counts, people) {
  const sum = totals(counts);
  for (const place of board.querySelectorAll("[data-sum]")) {
    place.textContent = sum[place.dataset.sum].toLocaleString("en");
  }
  const share = sum.total ? (sum.done * 100) / sum.total : 0;
  document.getElementById("rate").textContent =
    sum.total === 0 ? "–" : sum.done === sum.total ? "100%" : `${Math.min(Math.round(share), 99)}%`;
  drawBar(document.getElementById("bar"), sum);
  const all = Object.values(people).reduce((a, b) => a + b, 0);
  const shown = { ...people, called: all - (people.waiting || 0) };
  for (const place of board.querySelectorAll("[data-people]")) {
    place.textContent = (shown[place.dataset.people] || 0).toLocaleString("en");
  }
  speak(sum);
}

function speak(sum) {
  if (Date.now() - spoken < SPEAK_SECONDS * 1000) return;
  spoken = Date.now();
  document.getElementById("spoken").textContent = fill(say("rate", board), sum);
}

function putUrgent(urgent) {
  const panel = document.getElementById("urgent-panel");
  const list = document.getElementById("urgent");
  panel.hidden = urgent.length === 0;
  const same = urgent.map((cell) => String(cell.id)).join() === [...list.children].map((item) => item.dataset.id).join();
  if (same) {
    urgent.forEach((cell, at) => draw(list.children[at], cell));
  } else if (!list.contains(document.activeElement)) {
    list.replaceChildren(...urgent.map((cell) => fresh(cell, true)));
  }
}

// Time ----------------------------------------------------------------------------------------

function tick() {
  for (const left of board.querySelectorAll(".cell .countdown")) showLeft(left);
  const released = Number(board.dataset.released);
  const until = Number(board.dataset.ended) || serverNow();
  if (released) document.getElementById("elapsed").textContent = countdown(until - released);
  if (Date.now() - heard > QUIET_SECONDS * 1000) {
    link("broken");
    if (source?.readyState === EventSource.CLOSED || Date.now() - heard > 2 * QUIET_SECONDS * 1000) {
      heard = Date.now();
      listen();
    }
  }
}

function showLeft(left) {
  const deadline = Number(left.dataset.deadline);
  const rest = deadline - serverNow();
  left.textContent = deadline ? (rest < 0 ? say("over", board) : countdown(rest)) : "";
  left.classList.toggle("over", deadline > 0 && rest < 0);
}

function filter(chip) {
  for (const other of board.querySelectorAll(".chip")) {
    other.setAttribute("aria-pressed", String(other === chip));
  }
  board.dataset.filter = chip.dataset.filter;
}
