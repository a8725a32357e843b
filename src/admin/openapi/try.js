// Commands to copy, and trying an operation out.
//
// The page and the admin API have one origin, so the page can call it. The wallet is on
// another one and sends no CORS fields, on purpose: no page of the web may call it with a
// browser's credentials. So the wallet's operations have a command only.

import { el, inline, sample } from "./dom.js";
import { resolve } from "./schema.js";

/// The token that examples are written with.
const DEMO_TOKEN = "demo";

const tokenField = document.getElementById("token");

/// A word of a shell command.
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/// The first body of an operation: its media type and its example as text.
function bodyOf(operation) {
  const [mediaType, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (!mediaType) return undefined;
  const isText = typeof media.example === "string";
  const text = isText ? media.example : JSON.stringify(media.example, null, 2);
  return { mediaType, text: text ?? "" };
}

/// The command for a request, an option a line, so that no line breaks within a word.
function curl(request) {
  const parts = [request.method === "GET" ? "curl -sS" : `curl -sS -X ${request.method}`];
  if (request.guarded) {
    const typed = tokenField.value;
    parts.push(typed === "" || typed === DEMO_TOKEN
      ? `-H 'Authorization: Bearer ${DEMO_TOKEN}'`
      : `-H "Authorization: Bearer $PURSER_ADMIN_TOKEN"`);
  }
  if (request.body !== undefined) parts.push(`-H 'Content-Type: ${request.mediaType}'`);
  parts.push(quoted(request.url));
  if (request.body !== undefined) parts.push(`--data-binary ${quoted(request.body)}`);
  return parts.join(" \\\n  ");
}

/// The side of an operation of the wallet.
export function walletSide(operation) {
  const sources = operation["x-codeSamples"] ?? [];
  return [
    el("h4", {}, "Try it with curl"),
    sources.map(({ source }) =>
      sample(source, { label: `Copy the command for ${operation.summary}`, wrapped: true }).element),
    el("p", { class: "small" }, inline(
      "The wallet has an address of its own, and lets no web page call it from another one; " +
      "so this page cannot. Type the command in the directory where `purser serve --demo` was started.")),
  ];
}

/// The side of an operation of the admin API: a form, the command that it stands for, and
/// the answer.
export function adminSide(path, method, operation, parameters, server, guarded) {
  const id = operation.operationId;
  const fields = parameters.map((parameter) => {
    const input = el("input", {
      id: `${id}-${parameter.name}`, type: "text", spellcheck: "false", autocomplete: "off",
      value: parameter.in === "path" ? String(parameter.example ?? "") : undefined,
      placeholder: parameter.in === "query" ? "left out" : undefined,
      required: parameter.required,
    });
    return { parameter, input };
  });
  const body = bodyOf(operation);
  const editor = body && el("textarea", {
    id: `${id}-body`, spellcheck: "false", rows: String(Math.min(body.text.split("\n").length + 1, 14)),
  }, body.text);
  const target = () => {
    let filled = path;
    const query = new URLSearchParams();
    for (const { parameter, input } of fields) {
      if (parameter.in === "path") {
        filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      } else if (input.value !== "") query.set(parameter.name, input.value);
    }
    return filled + (query.size ? `?${query}` : "");
  };
  const request = () => ({
    method: method.toUpperCase(), guarded, url: server + target(),
    mediaType: body?.mediaType, body: editor?.value,
  });

  const command = sample(curl(request()), { label: `Copy the command for ${operation.summary}`, wrapped: true });
  const refresh = () => command.show(curl(request()));
  tokenField.addEventListener("input", refresh);

  if (operation.responses["200"]?.content?.["text/event-stream"]) {
    // A form would wait for the end of it, and there is none.
    return [el("h4", {}, "Follow it with curl"), command.element];
  }
  const answer = el("div", { "aria-live": "polite" });
  const send = el("button", { class: "send", type: "submit" }, "Send");
  const form = el("form", { class: "try", oninput: refresh, onsubmit: async (event) => {
    event.preventDefault();
    send.disabled = true;
    answer.replaceChildren(...await call(target(), request()));
    send.disabled = false;
  } },
    el("h4", {}, "Try it"),
    fields.map(({ parameter, input }) => [
      el("label", { for: input.id }, `${parameter.name} (${parameter.in})`), input,
    ]).flat(),
    editor ? [el("label", { for: editor.id }, "body"), editor] : undefined,
    el("div", { class: "act" }, send,
      method === "get" ? undefined : el("span", { class: "warn" }, "changes this very server")),
    answer);
  return [form, el("h4", {}, "The same with curl"), command.element];
}

/// Calls this server and shows what it says.
async function call(target, { method, guarded, mediaType, body }) {
  const headers = {};
  if (guarded) {
    if (tokenField.value === "") {
      tokenField.focus();
      return [el("p", { class: "answer-line" }, "Type the admin token at the top of the page first.")];
    }
    headers.Authorization = `Bearer ${tokenField.value}`;
  }
  if (body !== undefined) headers["Content-Type"] = mediaType;
  try {
    const began = performance.now();
    const response = await fetch(target, { method, headers, body, credentials: "omit" });
    const text = await response.text();
    const took = Math.round(performance.now() - began);
    const line = el("p", { class: "answer-line" },
      el("strong", { class: `code-${String(response.status)[0]}` }, `${response.status} ${response.statusText}`),
      ` in ${took} ms`);
    if (text === "") return [line];
    return [line, sample(readable(text), { label: "Copy the answer" }).element];
  } catch (error) {
    return [el("p", { class: "answer-line" }, `No answer: ${error.message}`)];
  }
}

/// JSON with line breaks; anything else as it is.
function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/// The parameters that a person fills in.
export function typedParameters(item, operation) {
  const all = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
  return all.filter((parameter) => parameter.in !== "header");
}
