// Asking our own server, and the sentences that the page brought along for its scripts.

const WAIT_SECONDS = 15;

export function say(name, element = document.body) {
  const key = `say${name[0].toUpperCase()}${name.slice(1)}`;
  return element.dataset[key] || "";
}

export function fill(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

// Returns the JSON answer; throws an Error with `status` when there is none.
export async function ask(path, fields = null, { signal } = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), WAIT_SECONDS * 1000);
  signal?.addEventListener("abort", () => stop.abort());
  try {
    const answer = await fetch(path, {
      method: fields ? "POST" : "GET",
      body: fields,
      headers: { "X-CSRF": document.body.dataset.csrf, "X-Script": "1" },
      signal: stop.signal,
      cache: "no-store",
    });
    if (!answer.ok) throw Object.assign(new Error(`${path}: ${answer.status}`), { status: answer.status });
    return answer.status === 204 ? null : await answer.json();
  } finally {
    clearTimeout(timer);
  }
}
