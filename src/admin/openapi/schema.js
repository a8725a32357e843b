// Schemas as people read them: members with their type, their limits and what they mean.

import { el, inline, prose } from "./dom.js";

/// The whole document; every `$ref` points into it.
let root = {};

export function setRoot(document_) {
  root = document_;
}

/// What a `$ref` points at, with what stands beside the `$ref` laid over it.
export function resolve(node) {
  if (!node || node.$ref === undefined) return node;
  const { $ref, ...beside } = node;
  const steps = $ref.replace(/^#\//, "").split("/");
  const target = steps.reduce(
    (at, step) => at[step.replaceAll("~1", "/").replaceAll("~0", "~")], root);
  const found = resolve(target);
  if (beside.properties) {
    const properties = { ...found.properties };
    for (const [name, narrower] of Object.entries(beside.properties)) {
      properties[name] = { ...resolve(properties[name]), ...narrower };
    }
    beside.properties = properties;
  }
  return { ...found, ...beside };
}

/// `string or integer`, `boolean`, `one of A, B`.
function kindOf(schema) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.oneOf && schema.oneOf.some((part) => resolve(part).const === undefined)) {
    return schema.oneOf.map((part) => kindOf(resolve(part))).join(" or ");
  }
  const types = [schema.type ?? "any"].flat();
  return types.map((type) => {
    if (type === "array") return `array of ${kindOf(resolve(schema.items ?? {}))}`;
    return type;
  }).join(" or ");
}

/// The limits in words.
function limitsOf(schema) {
  const limits = [];
  const { minLength: least, maxLength: most, minimum, maximum } = schema;
  if (least !== undefined && least === most) limits.push(`exactly ${most} characters`);
  else if (least !== undefined && most !== undefined) limits.push(`${least} to ${most} characters`);
  else if (most !== undefined) limits.push(`up to ${most} characters`);
  else if (least > 1) limits.push(`${least} characters or more`);
  else if (least === 1) limits.push("not empty");
  // Bounds of an integer that stands for a text repeat the length.
  if (most === undefined) {
    if (minimum !== undefined && maximum !== undefined) limits.push(`${minimum} to ${maximum}`);
    else if (minimum !== undefined) limits.push(`at least ${minimum}`);
  }
  if (schema.format) limits.push(schema.format);
  if (schema.default !== undefined) limits.push(`default ${JSON.stringify(schema.default)}`);
  return limits.join(", ");
}

/// Values with a meaning of their own, if the schema lists such.
function valuesOf(schema) {
  const meanings = (schema.oneOf ?? []).map(resolve).filter((value) => value.const !== undefined);
  if (schema.const !== undefined) return meanings.filter((value) => value.const === schema.const);
  return schema.enum ? meanings.filter((value) => schema.enum.includes(value.const)) : meanings;
}

/// Rows of value, name and meaning.
export function valueTable(schema, heading = "code") {
  const values = valuesOf(resolve(schema));
  if (!values.length) return undefined;
  const named = values.some((value) => value.title);
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {},
      el("th", { scope: "col" }, heading),
      named ? el("th", { scope: "col" }, "name") : undefined,
      el("th", { scope: "col" }, "when"))),
    el("tbody", {}, values.map((value) => el("tr", {},
      el("td", {}, el("code", {}, String(value.const))),
      named ? el("td", {}, value.title) : undefined,
      el("td", {}, inline(value.description)))))));
}

function row(name, required, schema) {
  const limits = limitsOf(schema);
  return el("div", { class: "member" },
    el("dt", {},
      el("span", { class: "member-name" }, name),
      el("span", { class: "kind" }, kindOf(schema) + (limits ? `, ${limits}` : "")),
      required ? el("span", { class: "required" }, "required") : undefined),
    el("dd", {},
      prose(schema.description),
      schema.pattern ? el("p", {}, "form: ", el("code", {}, schema.pattern)) : undefined));
}

/// A parameter of a path, a query or a head.
export function parameterRow(parameter) {
  const schema = { ...resolve(parameter.schema), description: parameter.description };
  return row(parameter.name, parameter.required, schema);
}

/// Members of an object, those of the objects in it behind their path: `Result.SessionToken`.
function rows(schema, path = "") {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([name, node]) => {
    const member = resolve(node);
    const inner = member.type === "array" ? resolve(member.items ?? {}) : member;
    const under = path + name + (member.type === "array" ? "[]." : ".");
    return [row(path + name, required.has(name), member), ...rows(inner, under)];
  });
}

/// One alternative of an answer: its members, or its codes.
function alternative(schema) {
  const codes = schema.properties?.ErrorCode ?? schema.properties?.Error;
  const table = codes ? valueTable(codes) : undefined;
  return table ?? el("dl", { class: "members" }, rows(schema));
}

/// Everything about a schema.
export function schemaView(node) {
  const schema = resolve(node);
  const parts = schema.oneOf ?? schema.anyOf;
  if (parts && !schema.properties) {
    return parts.map(resolve).flatMap((part) => [
      part.title ? el("h5", {}, part.title) : undefined,
      alternative(part),
    ]);
  }
  if (schema.properties) return [alternative(schema)];
  return prose(schema.description);
}
