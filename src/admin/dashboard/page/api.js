// The way to the server: the token, requests that carry it, and the stream of events.

const TOKEN_KEY = "purser-admin-token";

/** A stream says something every second; this long without a word and it is dead. */
const SILENCE_MS_MAX = 6_000;

/** What is kept of an event that has not come to its end: far beyond what a server sends. */
const EVENT_CHARS_MAX = 32 << 20;

/** An answer that is no success. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// Where the token is for as long as this tab is open; and only there.
export const token = {
  get: () => sessionStorage.getItem(TOKEN_KEY),
  set: (value) => sessionStorage.setItem(TOKEN_KEY, value),
  forget: () => sessionStorage.removeItem(TOKEN_KEY),
};

/** Asks for something below `/admin/v1/` and gives its JSON. */
export async function get(path, signal) {
  const answer = await ask(path, signal);
  return answer.json();
}

async function ask(path, signal) {
  // A header is bytes: those of the token's UTF-8, as the server has them.
  const secret = String.fromCharCode(...new TextEncoder().encode(token.get() ?? ""));
  const headers = { Authorization: `Bearer ${secret}` };
  const answer = await fetch(`admin/v1/${path}`, { headers, signal, cache: "no-store", redirect: "error" });
  if (answer.ok) {
    return answer;
  }
  const body = await answer.json().catch(() => ({}));
  throw new ApiError(answer.status, body.Error ?? "", body.Message ?? `HTTP ${answer.status}`);
}

/**
 * Reads the stream until it ends, and calls `onEvent(name, data)` for each event. Gives when
 * the server has ended it; throws when it could not be opened, broke, or fell silent.
 */
export async function readLive(onOpen, onEvent, signal) {
  const abort = new AbortController();
  const stop = () => abort.abort();
  signal.addEventListener("abort", stop);
  let watchdog = setTimeout(stop, SILENCE_MS_MAX);
  try {
    const answer = await ask("live", abort.signal);
    onOpen();
    const events = new EventReader(onEvent);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) {
        return;
      }
      clearTimeout(watchdog);
      watchdog = setTimeout(stop, SILENCE_MS_MAX);
      events.read(value);
    }
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", stop);
  }
}

/** Server-sent events as our server writes them: lines of `event:` and `data:`. */
export class EventReader {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.unread = "";
  }

  read(text) {
    this.unread += text;
    if (this.unread.length > EVENT_CHARS_MAX) {
      throw new Error("an event without an end");
    }
    const events = this.unread.split("\n\n");
    this.unread = events.pop();
    for (const event of events) {
      let name = "message";
      const data = [];
      for (const line of event.split("\n")) {
        if (line.startsWith("event:")) {
          name = line.slice(6).trim();
        } else if (line.startsWith("data:")) {
          data.push(line.slice(5).trimStart());
        }
      }
      if (data.length > 0) {
        this.onEvent(name, JSON.parse(data.join("\n")));
      }
    }
  }
}
