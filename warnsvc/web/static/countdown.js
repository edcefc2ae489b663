// Countdowns on pages that are not live.

import { countdown, serverNow } from "./clock.js";

function tick() {
  for (const place of document.querySelectorAll(".countdown[data-deadline]")) {
    const rest = Number(place.dataset.deadline) - serverNow();
    place.textContent = rest < 0 ? place.dataset.over : countdown(rest);
    place.classList.toggle("over", rest < 0);
  }
}
tick();
setInterval(tick, 1000);
