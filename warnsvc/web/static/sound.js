// The alarm: two tones, three times. Browsers play nothing before somebody has pressed a button, so
// sound is off until it is switched on, and the page says which it is.

const KEY = "warnsvc-sound";
let audio = null;

export function soundButton() {
  const button = document.getElementById("sound");
  if (!button || !window.AudioContext) return;
  button.hidden = false;
  const show = (on) => {
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? button.dataset.on : button.dataset.off;
  };
  show(localStorage.getItem(KEY) === "on");
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    localStorage.setItem(KEY, on ? "on" : "off");
    show(on);
    if (on) ring();
  });
}

export function ring() {
  if (localStorage.getItem(KEY) !== "on" || !window.AudioContext) return;
  audio = audio || new AudioContext();
  audio.resume();
  for (let turn = 0; turn < 3; turn += 1) {
    tone(880, turn * 0.7);
    tone(660, turn * 0.7 + 0.3);
  }
}

function tone(frequency, after) {
  const source = audio.createOscillator();
  const volume = audio.createGain();
  const start = audio.currentTime + after;
  source.frequency.value = frequency;
  source.type = "square";
  volume.gain.setValueAtTime(0.15, start);
  volume.gain.exponentialRampToValueAtTime(0.001, start + 0.28);
  source.connect(volume).connect(audio.destination);
  source.start(start);
  source.stop(start + 0.3);
}
