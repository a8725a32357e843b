// The page of the API: reads openapi.json and shows it.

import { el, inline, prose, sample } from "./dom.js";
import { parameterRow, resolve, schemaView, setRoot, valueTable } from "./schema.js";
import { adminSide, typedParameters, walletSide } from "./try.js";

const METHODS = ["get", "put", "post", "delete"];

const main = document.getElementById("content");
const nav = document.getElementById("nav");
const menu = document.getElementById("menu");
const filter = document.getElementById("filter");

/// Every operation, in the order of the document.
function operationsOf(document_) {
  return Object.entries(document_.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({
      path, item, method, operation: item[method],
    })));
}

/// `[{ name, tags: [{ name, description, operations }] }]`, by the document's own order.
function groupsOf(document_) {
  const operations = operationsOf(document_);
  const tags = new Map(document_.tags.map((tag) => [tag.name, tag]));
  return document_["x-tagGroups"].map((group) => ({
    name: group.name,
    tags: group.tags.map((name) => ({
      ...tags.get(name),
      operations: operations.filter(({ operation }) => operation.tags.includes(name)),
    })),
  }));
}

function verb(method) {
  return el("span", { class: `verb ${method}` }, method === "delete" ? "del" : method);
}

function navigation(groups) {
  const link = (href, ...content) => el("li", {}, el("a", { href }, content));
  return [
    el("ul", {}, link("#overview", "Overview"), link("#wallet-codes", "Error codes of the wallet"),
      link("#admin-errors", "Errors of the admin API")),
    groups.map((group) => el("section", {},
      el("h2", {}, group.name),
      group.tags.map((tag) => el("div", {},
        el("h3", {}, tag.name),
        el("ul", {}, tag.operations.map(({ method, operation }) =>
          link(`#${operation.operationId}`, verb(method), operation.summary))))))),
  ].flat();
}

function overview(document_) {
  const schemes = document_.components.securitySchemes;
  const schemas = document_.components.schemas;
  return el("section", { id: "overview" },
    el("h1", {}, `${document_.info.title} API`),
    el("p", { class: "quiet" }, document_.info.summary),
    el("div", { class: "prose" }, prose(document_.info.description),
      el("h4", {}, "Who may call"),
      el("ul", {}, Object.values(schemes).map((scheme) => el("li", {},
        el("strong", {}, `HTTP ${scheme.scheme}: `), inline(scheme.description))))),
    el("h2", { id: "wallet-codes" }, "Error codes of the wallet"),
    valueTable(schemas.ErrorCode),
    el("h2", { id: "admin-errors" }, "Errors of the admin API"),
    valueTable(schemas.Error.properties.Error, "Error"));
}

function examplesOf(media) {
  if (media.examples) {
    return Object.values(media.examples).map(({ summary, value }) => [summary, value]);
  }
  return media.example === undefined ? [] : [["example", media.example]];
}

function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/// A body: what it is made of, then examples.
function bodyView([mediaType, media], { withExamples }) {
  return [
    el("p", { class: "small" }, mediaType),
    schemaView(media.schema),
    media["x-itemSchema"] ? [el("h5", {}, "each line"), schemaView(media["x-itemSchema"])].flat() : undefined,
    withExamples ? examplesOf(media).flatMap(([title, value]) => [
      el("p", { class: "sample-title" }, title),
      sample(shown(value), { label: `Copy the example: ${title}` }).element,
    ]) : undefined,
  ].flat();
}

function responseView([status, node], isFirst) {
  const response = resolve(node);
  const headers = Object.entries(response.headers ?? {});
  return el("details", { open: isFirst },
    el("summary", {}, el("span", { class: `code-${status[0]}` }, status), " ", inline(response.description)),
    el("div", {},
      headers.length ? el("dl", { class: "members" }, headers.map(([name, header]) =>
        parameterRow({ name, ...resolve(header) }))) : undefined,
      Object.entries(response.content ?? {}).flatMap((content) => bodyView(content, { withExamples: true }))));
}

function operationView(document_, { path, item, method, operation }) {
  const security = operation.security ?? document_.security;
  const guarded = security.some((scheme) => scheme.adminToken);
  const isWallets = security.some((scheme) => scheme.platformCredentials);
  const servers = operation.servers ?? item.servers ?? document_.servers;
  const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
  const typed = typedParameters(item, operation);
  // This page comes from the admin address, which is the last where there are two.
  const here = servers[servers.length - 1].url;
  return el("article", { class: "operation", id: operation.operationId, "aria-labelledby": `${operation.operationId}-title` },
    el("h3", { id: `${operation.operationId}-title` }, operation.summary),
    el("p", { class: "endpoint" }, verb(method), el("span", { class: "path" }, path)),
    el("p", { class: "small" }, servers.map((server) => server.url).join(" and "),
      guarded ? ", with the admin token" : isWallets ? ", with the domain's credentials" : ", no credentials"),
    el("div", { class: "sides" },
      el("div", {},
        el("div", { class: "prose" }, prose(operation.description)),
        parameters.length ? [el("h4", {}, "Parameters"),
          el("dl", { class: "members" }, parameters.map(parameterRow))] : undefined,
        operation.requestBody ? [el("h4", {}, "Body"),
          Object.entries(operation.requestBody.content).flatMap((content) =>
            bodyView(content, { withExamples: false }))].flat() : undefined,
        el("h4", {}, "Answers"),
        Object.entries(operation.responses).map((response, at) => responseView(response, at === 0))),
      el("div", { class: "side" },
        isWallets ? walletSide(operation)
          : adminSide(path, method, operation, typed, here, guarded))));
}

function show(document_) {
  setRoot(document_);
  const groups = groupsOf(document_);
  document.getElementById("nav-list").append(...navigation(groups));
  main.replaceChildren(overview(document_), ...groups.flatMap((group) =>
    group.tags.flatMap((tag, at) => [
      el("h2", {}, at === 0 ? `${group.name}: ${tag.name}` : tag.name),
      el("p", { class: "quiet" }, tag.description),
      ...tag.operations.map((operation) => operationView(document_, operation)),
    ])));
  followScrolling();
  // What the address names was not there when the browser looked for it.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView({ behavior: "instant" });
}

/// Marks in the navigation what is being read.
function followScrolling() {
  const links = new Map([...nav.querySelectorAll("a[href^='#']")].map((a) => [a.hash.slice(1), a]));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries.filter(({ isIntersecting }) => isIntersecting)) {
      nav.querySelector("a[aria-current]")?.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  document.querySelectorAll("#overview, .operation").forEach((section) => observer.observe(section));
}

function filterNavigation() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of nav.querySelectorAll("section")) {
    for (const tag of section.querySelectorAll("div")) {
      let left = 0;
      for (const entry of tag.querySelectorAll("li")) {
        const text = `${entry.textContent} ${entry.firstChild.hash} ${tag.firstChild.textContent}`.toLowerCase();
        entry.hidden = !words.every((word) => text.includes(word));
        left += entry.hidden ? 0 : 1;
      }
      tag.hidden = left === 0;
    }
  }
}

function openMenu(isOpen) {
  nav.classList.toggle("open", isOpen);
  menu.setAttribute("aria-expanded", String(isOpen));
}

menu.addEventListener("click", () => openMenu(!nav.classList.contains("open")));
nav.addEventListener("click", (event) => { if (event.target.closest("a")) openMenu(false); });
filter.addEventListener("input", filterNavigation);
document.getElementById("token-form").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea");
  if (event.key === "Escape") openMenu(false);
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    openMenu(true);
    filter.focus();
  }
});

try {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  show(await response.json());
} catch (error) {
  document.getElementById("status")?.replaceChildren(`The document could not be read: ${error.message}`);
}
