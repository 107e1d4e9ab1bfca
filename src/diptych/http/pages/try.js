// The page to read and try a context's commands and queries: made from openapi.json, and from nothing else.
// Whatever comes from the server is set as text, never as markup.
"use strict";

const state = { document: null, operations: [], current: null, token: sessionStorage.getItem("diptych-token") || "" };
const byId = (id) => document.getElementById(id);

/** An element with attributes and children; a string is text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text whose `words in backticks` are code. */
function worded(text) {
  return text.split("`").map((part, number) => (number % 2 ? make("code", {}, part) : part));
}

// The description

/** Commands and queries, each with its ways of being sent. */
function read(description) {
  const found = [];
  for (const [path, item] of Object.entries(description.paths)) {
    const steps = path.split("/");
    if (steps.length !== 4 || path.includes("{")) continue;
    const kind = steps[2];
    if (kind !== "commands" && kind !== "queries") continue;
    const ways = ["get", "post"].filter((method) => item[method]).map((method) => ({ method, ...item[method] }));
    found.push({ kind, path, name: decodeURIComponent(steps[3]), ways });
  }
  return found;
}

function resolved(schema) {
  let steps = 0;
  while (schema && schema.$ref && steps++ < 20) schema = state.document.components.schemas[schema.$ref.split("/").pop()];
  return schema || {};
}

/** A type in a few words. */
function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return "list of " + (schema.items ? typeOf(schema.items) : "anything");
  const bounds = [
    ["minimum", "≥ "], ["exclusiveMinimum", "> "], ["maximum", "≤ "], ["exclusiveMaximum", "< "], ["minLength", "length ≥ "],
    ["maxLength", "length ≤ "],
  ].filter(([key]) => key in schema).map(([key, sign]) => sign + schema[key]);
  return [schema.format || schema.type || "anything", ...bounds].join(", ");
}

const narrow = matchMedia("(max-width: 720px)");

// The list

function list() {
  const wanted = byId("filter").value.trim().toLowerCase();
  const groups = [["commands", "Commands"], ["queries", "Queries"]].map(([kind, title]) => {
    const shown = state.operations.filter((one) => one.kind === kind && one.name.toLowerCase().includes(wanted));
    const buttons = shown.map((one) =>
      make("button", { type: "button", "aria-current": String(one === state.current), onclick: () => pick(one) }, one.name));
    return shown.length ? make("section", { class: kind }, make("h2", {}, title), ...buttons) : null;
  });
  byId("names").replaceChildren(...groups.filter(Boolean));
}

/** By hand: on a narrow screen the list is in the way of what was chosen. */
function pick(operation) {
  choose(operation);
  if (narrow.matches) byId("main").scrollIntoView();
}

function choose(operation) {
  state.current = operation;
  const place = "#" + operation.kind + "/" + encodeURIComponent(operation.name);
  if (location.hash !== place) history.replaceState(null, "", place);
  list();
  show(operation, operation.ways[0]);
}

function showToken() {
  byId("token").textContent = state.token || "none yet";
}

// The one that is being tried

function show(operation, way) {
  const answer = make("div", {}, make("p", { class: "empty" }, "The response will stand here."));
  const main = byId("main");
  main.className = operation.kind;
  main.replaceChildren(
    make("header", {}, make("h2", {}, operation.name),
      make("p", {}, ...worded([way.summary === operation.name ? "" : way.summary, way.description].filter(Boolean).join("\n")))),
    make("div", { class: "columns" },
      make("div", {}, form(operation, way, answer), fields(way)),
      make("div", {}, make("section", { class: "card", "aria-live": "polite" }, make("h3", {}, "Response"), answer), codes(way))));
}

function form(operation, way, answer) {
  const parameters = (way.parameters || []).map((parameter) => ({ parameter, input: field(parameter) }));
  const inQuery = parameters.filter(({ parameter }) => parameter.in === "query");
  const inHeader = parameters.filter(({ parameter }) => parameter.in === "header" && parameter.name !== "Diptych-After");
  const body = way.requestBody ? editor(way.requestBody.content["application/json"].example) : null;
  const after = parameters.some(({ parameter }) => parameter.name === "Diptych-After")
    ? make("input", { type: "checkbox", id: "after", checked: true }) : null;
  const say = make("p", { class: "say", role: "alert" });
  const send = make("button", { class: "send", type: "submit" }, "Send");
  const ways = operation.ways.length < 2 ? make("span", { class: "method" }, way.method.toUpperCase())
    : make("span", { class: "ways" }, ...operation.ways.map((other) => make("button", {
      type: "button", "aria-pressed": String(other === way), onclick: () => show(operation, other) }, other.method.toUpperCase())));

  async function submit(event) {
    event.preventDefault();
    say.textContent = "";
    if (body && !isJson(body, say)) return;
    send.disabled = true;
    const headers = {};
    for (const { parameter, input } of inHeader) if (input.value) headers[parameter.name] = input.value;
    if (after && after.checked && state.token) headers["Diptych-After"] = state.token;
    if (body) headers["Content-Type"] = "application/json";
    const asked = new URLSearchParams();
    for (const { parameter, input } of inQuery) {
      const many = parameter.schema.type === "array";
      for (const value of many ? input.value.split("\n").filter(Boolean) : [input.value]) if (value) asked.append(parameter.name, value);
    }
    const path = operation.path.slice(1) + (asked.size ? "?" + asked : "");
    try {
      await exchange(path, { method: way.method.toUpperCase(), headers, body: body ? body.value : undefined }, answer);
    } finally {
      send.disabled = false;
    }
  }

  return make("form", { class: "card", onsubmit: submit },
    make("p", { class: "address" }, ways, make("span", {}, operation.path)),
    ...inQuery.map(labelled),
    body ? make("label", {}, make("span", { class: "name" }, "Body", make("span", { class: "type" }, "JSON")), body) : null,
    make("details", {}, make("summary", {}, "Headers"), ...inHeader.map(labelled)),
    after ? make("label", { class: "check" }, after, "No older than the token (Diptych-After)") : null,
    say,
    make("div", { class: "row" }, send, body ? make("small", {}, "Ctrl+Enter sends") : null));
}

function field(parameter) {
  const schema = parameter.schema || {};
  if (schema.enum) {
    const options = schema.enum.map((value) => make("option", { value, selected: value === schema.default }, String(value)));
    return make("select", {}, ...(parameter.required ? [] : [make("option", { value: "" }, "")]), ...options);
  }
  if (schema.type === "array") return make("textarea", { rows: 3, placeholder: "one a line", spellcheck: "false" });
  const numeric = schema.type === "integer" || schema.type === "number";
  const hint = schema.default === undefined || schema.default === null ? "" : String(schema.default);
  return make("input", { autocomplete: "off", spellcheck: "false", inputmode: numeric ? "decimal" : false, placeholder: hint });
}

function labelled({ parameter, input }) {
  return make("label", {},
    make("span", { class: "name" }, parameter.name, parameter.required ? make("span", { class: "must" }, "required") : null,
      parameter.in === "query" ? make("span", { class: "type" }, typeOf(parameter.schema)) : null),
    input, parameter.description ? make("small", {}, ...worded(parameter.description)) : null);
}

function editor(example) {
  const text = make("textarea", { spellcheck: "false", autocomplete: "off", "aria-label": "Body" });
  text.value = JSON.stringify(example === undefined ? {} : example, null, 2);
  text.rows = Math.min(24, text.value.split("\n").length + 1);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) text.form.requestSubmit();
  });
  return text;
}

function isJson(body, say) {
  try {
    JSON.parse(body.value);
    body.classList.remove("wrong");
    return true;
  } catch (error) {
    body.classList.add("wrong");
    say.textContent = "This is not JSON: " + error.message;
    return false;
  }
}

async function exchange(path, options, answer) {
  const began = performance.now();
  try {
    const response = await fetch(path, options);
    const text = await response.text();
    const token = response.headers.get("Diptych-Token");
    if (token) {
      state.token = token;
      sessionStorage.setItem("diptych-token", token);
      showToken();
    }
    answer.replaceChildren(...shown(response, text, performance.now() - began));
    answer.closest("section").scrollIntoView({ block: "nearest" });
  } catch (error) {
    answer.replaceChildren(make("p", { class: "say" }, "No response: " + error.message));
  }
}

function shown(response, text, milliseconds) {
  const told = ["diptych-token", "diptych-position", "diptych-lag", "diptych-stale", "diptych-parked", "preference-applied", "etag", "location", "allow",
    "retry-after", "content-type"].filter((name) => response.headers.has(name));
  const lines = told.flatMap((name) => [make("dt", {}, name), make("dd", {}, response.headers.get(name))]);
  return [
    make("p", { class: "status " + (response.status < 400 ? "good" : "bad") },
      make("b", {}, String(response.status)), make("span", {}, milliseconds.toFixed(1) + " ms")),
    make("dl", {}, ...lines),
    text ? make("pre", { tabindex: "0" }, pretty(text)) : null,
  ].filter(Boolean);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function fields(way) {
  if (!way.requestBody) return null;
  const rows = fieldRows(way.requestBody.content["application/json"].schema, "", 0);
  if (!rows.length) return null;
  return make("section", { class: "card" }, make("h3", {}, "Fields"), make("table", { class: "schema" }, ...rows));
}

/** A row for each field of a record, and for those of the records in it, three levels deep. */
function fieldRows(schema, prefix, depth) {
  const record = resolved(schema);
  const required = new Set(record.required || []);
  return Object.entries(record.properties || {}).flatMap(([name, property]) => {
    const said = property.description || (required.has(name) ? "required" : "default " + JSON.stringify(property.default ?? null));
    const row = make("tr", {}, make("td", {}, make("code", {}, prefix + name)), make("td", { class: "type" }, typeOf(property)),
      make("td", {}, said));
    const inner = property.items || property;
    const deeper = depth < 3 && inner.$ref ? fieldRows(inner, prefix + name + (property.items ? "[]." : "."), depth + 1) : [];
    return [row, ...deeper];
  });
}

function codes(way) {
  const rows = Object.entries(way.responses).map(([status, response]) =>
    make("tr", {}, make("td", {}, status), make("td", {}, ...worded(response.description))));
  return make("details", { class: "card" }, make("summary", {}, "What it may answer"), make("table", { class: "schema codes" }, ...rows));
}

async function start() {
  showToken();
  byId("filter").addEventListener("input", list);
  try {
    const response = await fetch("openapi.json");
    if (!response.ok) throw new Error("openapi.json answers " + response.status);
    state.document = await response.json();
  } catch (error) {
    byId("main").replaceChildren(make("p", { class: "empty" }, "The description cannot be read: " + error.message));
    return;
  }
  const { title, description } = state.document.info;
  document.title = title + " · Diptych";
  byId("title").textContent = title;
  byId("about").textContent = (description || "").split(". ")[0];
  state.operations = read(state.document);
  const wanted = decodeURIComponent(location.hash.slice(1));
  const first = state.operations.find((one) => one.kind + "/" + one.name === wanted) || state.operations[0];
  if (first) choose(first);
  else byId("main").replaceChildren(make("p", { class: "empty" }, "This context has no command and no query."));
}

start();
