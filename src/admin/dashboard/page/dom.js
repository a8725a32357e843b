// Elements from values. All text goes in as text nodes: there is no way from here to HTML.

/**
 * Makes an element. `attributes` with the value `true` are there without a value; those
 * with `false`, `null` or `undefined` are not there. Children are nodes or text.
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...textual(children));
  return element;
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(element, attributes);
  element.append(...textual(children));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Replaces a text, and touches nothing when it is there already. */
export function setText(element, text) {
  const now = String(text);
  if (element.textContent !== now) {
    element.textContent = now;
  }
}

/** Puts other children in the place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren(...textual(children));
}

/** For those who listen rather than look: said when there is a pause. */
export function announce(text) {
  setText(byId("announcements"), text);
}

/**
 * A table that keeps its rows from one drawing to the next, so that a selection or the
 * focus inside it stays. On a narrow screen the style sheet makes each row a card, which
 * would take the roles away; so they are stated.
 *
 * `columns`: `{ key, label, isText, isHead }`. A row gives `{ key, cells, isQuiet }`, where
 * a cell is text, a node, or `{ text, share, mood }`.
 */
export class Table {
  constructor(element, caption, columns) {
    this.columns = columns;
    this.rows = new Map();
    this.body = el("tbody", { role: "rowgroup" });
    const heads = columns.map((column) =>
      el("th", { role: "columnheader", scope: "col", class: column.isText ? "text" : null }, column.label),
    );
    const head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads));
    element.setAttribute("role", "table");
    fill(element, el("caption", {}, caption), head, this.body);
  }

  draw(rows) {
    const gone = new Set(this.rows.keys());
    let before = null;
    for (const row of rows) {
      gone.delete(row.key);
      const shown = this.rows.get(row.key) ?? this.add(row.key);
      shown.element.classList.toggle("quiet", row.isQuiet === true);
      this.columns.forEach((column, at) => drawCell(shown.cells[at], row.cells[column.key]));
      const expected = before ? before.nextSibling : this.body.firstChild;
      if (expected !== shown.element) {
        this.body.insertBefore(shown.element, expected);
      }
      before = shown.element;
    }
    for (const key of gone) {
      this.rows.get(key).element.remove();
      this.rows.delete(key);
    }
  }

  add(key) {
    const cells = this.columns.map((column) =>
      el(column.isHead ? "th" : "td", {
        role: column.isHead ? "rowheader" : "cell",
        scope: column.isHead ? "row" : null,
        class: column.isText ? "text" : null,
        "data-label": column.label,
      }),
    );
    const row = { element: el("tr", { role: "row" }, ...cells), cells };
    this.rows.set(key, row);
    return row;
  }
}

function drawCell(cell, content) {
  if (content instanceof Node) {
    if (cell.firstChild !== content || cell.childNodes.length !== 1) {
      fill(cell, content);
    }
    return;
  }
  const { text, share, mood } = typeof content === "object" && content !== null ? content : { text: content };
  if (mood) {
    cell.dataset.mood = mood;
  } else {
    delete cell.dataset.mood;
  }
  if (share === undefined) {
    setText(cell, text ?? "");
    return;
  }
  // Text and behind it a bar that says the same to the eye.
  let bar = cell.querySelector(".bar");
  if (!bar) {
    bar = el("span", { class: "bar", "aria-hidden": "true" }, el("span"));
    fill(cell, el("span", { class: "figure" }), bar);
  }
  setText(cell.querySelector(".figure"), text);
  bar.firstChild.style.width = `${Math.min(100, Math.max(0, share * 100)).toFixed(1)}%`;
}

function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
}

function textual(children) {
  return children
    .flat()
    .filter((child) => child !== null && child !== undefined)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}
