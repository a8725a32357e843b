// Making elements. Text from the document or the server becomes text nodes, never markup.

/// An element: `el("a", { href: "#x", class: "y" }, "text", other)`. Attributes that are
/// false or undefined are left out; `onclick` and the like take functions.
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null));
  return element;
}

/// Paragraphs and lists of the little Markdown that descriptions use.
export function prose(text = "") {
  return text.split("\n\n").map((block) => {
    const lines = block.split("\n");
    if (lines.every((line) => line.startsWith("- "))) {
      return el("ul", {}, lines.map((line) => el("li", {}, inline(line.slice(2)))));
    }
    return el("p", {}, inline(lines.join(" ")));
  });
}

/// `code` and **strong** within a line.
export function inline(text = "") {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((part) => {
    if (part.startsWith("`")) return el("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return el("strong", {}, part.slice(2, -2));
    return part;
  });
}

/// A block of text to copy. `text` may change later through the `show` of what is returned.
export function sample(text, { label = "Copy", wrapped = false } = {}) {
  const pre = el("pre", { tabindex: "0" }, text);
  const button = el("button", { type: "button", "aria-label": label }, "Copy");
  button.addEventListener("click", async () => {
    button.textContent = (await copy(pre)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  const element = el("div", { class: wrapped ? "sample wrapped" : "sample" }, pre, button);
  return { element, show: (changed) => { pre.textContent = changed; } };
}

/// The clipboard is there for pages of this machine and for https only; elsewhere the text
/// is selected and copied the old way.
async function copy(pre) {
  try {
    await navigator.clipboard.writeText(pre.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(pre);
    return document.execCommand("copy");
  }
}
