// The server's clock: desks' computers are often minutes wrong, and a countdown must not be.

let ahead = 0;

export function setServerNow(milliseconds) {
  if (milliseconds) ahead = milliseconds - Date.now();
}

export function serverNow() {
  return Date.now() + ahead;
}

export function wallClock(milliseconds, zone) {
  return new Date(milliseconds).toLocaleTimeString("en-GB", { timeZone: zone, hour12: false });
}

// 4:05, 1:02:03; a time that has passed counts up with a minus sign.
export function countdown(milliseconds) {
  const seconds = Math.abs(Math.round(milliseconds / 1000));
  const pad = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${hours ? pad(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${pad(seconds % 60)}`;
  return (milliseconds < 0 ? "−" : "") + (hours ? `${hours}:${rest}` : rest);
}
