// The page's beginning: whoever has no token is asked for it; whoever has one gets the
// stream, and it again whenever it ends.

import { ApiError, get, readLive, token } from "./api.js";
import { AccountSearch } from "./account.js";
import { Books } from "./books.js";
import { announce, byId, setText } from "./dom.js";
import { Model } from "./model.js";
import { Panels } from "./panels.js";
import { SlowRequests } from "./slow.js";

const THEME_KEY = "purser-theme";

/** Pauses between attempts to reach the server: the first short, the later ones longer. */
const RETRY_SECONDS = [1, 2, 4, 8];

const SLOW_INTERVAL_MS = 5_000;
const BOOKS_INTERVAL_MS = 10_000;

const model = new Model();
const panels = new Panels();
const search = new AccountSearch();
const books = new Books();
const slow = new SlowRequests((id) => {
  byId("account-id").focus();
  search.show(id);
});

/** Ends the session that runs; there is one between a login and what ends it. */
let session = null;

byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  logIn(byId("token").value.trim());
});
byId("log-out").addEventListener("click", () => logOut(""));
document.addEventListener("visibilitychange", draw);
startTheme();
if (token.get()) {
  start();
} else {
  show("login");
}

/** Tries a token with a request that costs little, and keeps it if it was right. */
async function logIn(value) {
  if (value === "") {
    setText(byId("login-note"), "The token is missing.");
    return;
  }
  token.set(value);
  try {
    await get("trial-balance");
  } catch (error) {
    // Other failures pass, or the page shows them better.
    if (error instanceof ApiError && error.status === 401) {
      logOut("The server refused this token.");
      byId("token").select();
      return;
    }
  }
  byId("token").value = "";
  start();
}

function logOut(why) {
  token.forget();
  session?.abort();
  session = null;
  model.clear();
  search.clear();
  byId("account-id").value = "";
  show("login");
  setText(byId("login-note"), why);
  byId("token").focus();
}

function show(part) {
  byId("login").hidden = part !== "login";
  byId("dashboard").hidden = part !== "dashboard";
  byId("log-out").hidden = part !== "dashboard";
  byId("status").hidden = part !== "dashboard";
  byId("panels").hidden = part !== "dashboard";
}

function start() {
  session?.abort();
  session = new AbortController();
  setText(byId("login-note"), "");
  show("dashboard");
  follow(session.signal);
  repeat((signal) => slow.refresh(signal), SLOW_INTERVAL_MS, session.signal);
  repeat((signal) => books.refresh(signal), BOOKS_INTERVAL_MS, session.signal);
}

/** Reads the stream, and again after a pause when it ends. */
async function follow(signal) {
  let failures = 0;
  while (!signal.aborted) {
    let why = "";
    setConnection("Connecting", "warn");
    try {
      await readLive(
        () => setConnection("Connected", "good"),
        (name, data) => {
          failures = 0;
          if (name === "message") {
            model.push(data);
            setConnection("Live", "good");
            draw();
          } else if (name === "end" && data.Reason === "stopping") {
            why = "The server stops";
          }
        },
        signal,
      );
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        logOut("The server does not take this token any more.");
      } else if (error instanceof ApiError) {
        why = error.message;
      }
    }
    if (signal.aborted) {
      return;
    }
    const pause = RETRY_SECONDS[Math.min(failures, RETRY_SECONDS.length - 1)];
    failures += 1;
    setConnection(`${why || "Connection lost"}; trying again`, "bad");
    await sleep(pause * 1_000, signal);
  }
}

/** Does something now and then, while the page is looked at. */
async function repeat(work, interval, signal) {
  while (!signal.aborted) {
    if (!document.hidden) {
      // What fails is tried again; the stream says whether the server is there.
      await work(signal).catch(() => {});
    }
    await sleep(interval, signal);
  }
}

function draw() {
  if (session && !document.hidden && model.newest()) {
    panels.draw(model);
  }
}

function setConnection(text, mood) {
  const connection = byId("connection");
  if (connection.textContent !== text) {
    setText(connection, text);
    connection.dataset.mood = mood;
    byId("dashboard").classList.toggle("stale", mood === "bad");
    // Only what lasts is worth a word.
    if (mood !== "warn" && text !== "Connected") {
      announce(text);
    }
  }
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The system's scheme, or the one that was chosen here before. */
function startTheme() {
  const choice = byId("theme");
  const apply = () => {
    document.documentElement.dataset.theme = choice.value;
  };
  const stored = localStorage.getItem(THEME_KEY);
  if ([...choice.options].some((option) => option.value === stored)) {
    choice.value = stored;
  }
  choice.addEventListener("change", () => {
    localStorage.setItem(THEME_KEY, choice.value);
    apply();
  });
  apply();
}
