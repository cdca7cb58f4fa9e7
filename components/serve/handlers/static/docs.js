"use strict";

/** An element with children; strings become text, never markup. */
function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.flat(Infinity));
  return element;
}

const json = (value) => make("pre", { tabIndex: 0 }, JSON.stringify(value, null, 2));
const name = (reference) => reference.split("/").pop();

/** A schema in a few words, with links to those that it names. */
function words(schema) {
  if (schema.$ref) return [make("a", { href: `#${name(schema.$ref)}` }, name(schema.$ref))];
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices)
    return choices.flatMap((each, place) => (place ? [" or ", ...words(each)] : words(each)));
  if (schema.enum) return [schema.enum.join(" or ")];
  if (schema.items) return ["list of ", ...words(schema.items), bounds(schema)];
  return [schema.type ?? "anything", bounds(schema)];
}

function bounds(schema) {
  const known = [
    ["minimum", "from"],
    ["maximum", "to"],
    ["minItems", "at least"],
    ["maxItems", "at most"],
    ["maxLength", "at most"],
  ];
  const said = known
    .filter(([key]) => key in schema)
    .map(([key, word]) => ` ${word} ${schema[key].toLocaleString("en")}`);
  if (![undefined, null].includes(schema.default) && `${schema.default}`)
    said.push(`, by default ${schema.default}`);
  return said.join("");
}

function terms(entries) {
  return make(
    "dl",
    {},
    entries.map(([term, ...details]) => [
      make("dt", {}, make("code", {}, term)),
      make("dd", {}, details),
    ]),
  );
}

function section(title, ...content) {
  return [make("h3", {}, title), ...content];
}

class Page {
  constructor(api) {
    this.api = api;
  }

  resolve(value) {
    return value.$ref
      ? value.$ref
          .slice(2)
          .split("/")
          .reduce((found, key) => found[key], this.api)
      : value;
  }

  curl(method, path, operation) {
    const parameter = operation.parameters
      .map((each) => this.resolve(each))
      .find((each) => each.in === "path");
    const place = path.replace(/{.*}/, parameter?.example).slice(1);
    const body = Object.values(
      operation.requestBody?.content["application/json"].examples ?? {},
    )[0];
    const address = new URL(place, document.baseURI).href;
    return `curl '${address}'${body ? ` --data '${JSON.stringify(body.value)}'` : ""}`;
  }

  answers(operation) {
    return Object.entries(operation.responses).map(([status, given]) => {
      const answer = this.resolve(given);
      const [[kind, { schema }]] = Object.entries(answer.content);
      return [
        status,
        answer.description,
        " · ",
        kind === "application/json" ? words(schema) : kind,
      ];
    });
  }

  body(operation) {
    if (!operation.requestBody) return [];
    const { schema, examples } = operation.requestBody.content["application/json"];
    return section(
      "Body",
      make("p", {}, words({ $ref: schema.$ref })),
      Object.values(examples).map((each) => json(each.value)),
    );
  }

  operation(method, path, operation) {
    const parameters = operation.parameters.map((each) => this.resolve(each));
    return make(
      "details",
      { id: operation.operationId },
      make(
        "summary",
        {},
        make("code", {}, `${method.toUpperCase()} ${path}`),
        make("br"),
        make("span", { className: "muted" }, operation.summary),
      ),
      section(
        "Parameters",
        terms(
          parameters.map((each) => [
            each.name,
            make("small", {}, `${each.in}, `),
            words(each.schema),
            each.description ? make("p", { className: "muted" }, each.description) : [],
          ]),
        ),
      ),
      this.body(operation),
      section("Answers", terms(this.answers(operation))),
      section("Try it", make("pre", { tabIndex: 0 }, this.curl(method, path, operation))),
    );
  }

  group(tag) {
    const found = Object.entries(this.api.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, operation]) => operation.tags.includes(tag))
        .map(([method, operation]) => this.operation(method, path, operation)),
    );
    return [make("h2", {}, tag[0].toUpperCase() + tag.slice(1)), ...found];
  }

  schema([title, schema]) {
    const entries = Object.entries(schema.properties).map(([key, shape]) => [
      key,
      words(shape),
      schema.required.includes(key) ? make("small", {}, ", required") : [],
      shape.description ? make("p", { className: "muted" }, shape.description) : [],
    ]);
    return make(
      "details",
      { id: title },
      make(
        "summary",
        {},
        make("code", {}, title),
        make("br"),
        make("span", { className: "muted" }, schema.description),
      ),
      terms(entries),
    );
  }

  render() {
    const { info, tags, components } = this.api;
    return [
      make("p", {}, info.description),
      tags.flatMap((tag) => this.group(tag.name)),
      make("h2", {}, "Schemas"),
      Object.entries(components.schemas).map((each) => this.schema(each)),
    ];
  }
}

/** Open what the address points at. */
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

async function show() {
  const status = document.getElementById("status");
  status.textContent = "Loading";
  try {
    const response = await fetch("openapi.json");
    document
      .getElementById("main")
      .replaceChildren(...new Page(await response.json()).render().flat(Infinity));
    reveal();
  } catch (error) {
    status.textContent = "openapi.json cannot be read.";
    throw error;
  }
}

window.addEventListener("hashchange", reveal);
show();
