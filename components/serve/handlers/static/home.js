"use strict";

const find = (id) => document.getElementById(id);
const liked = new Map(); // products by id, in the order they were liked
let asked = 0;

const decimal = (value) =>
  value.toLocaleString("en", { minimumFractionDigits: 3, maximumFractionDigits: 3 });
const MEASURES = {
  score: (value) => `score ${decimal(value)}`,
  similarity: (value) => `similarity ${decimal(value)}`,
  ratings: (value) => `${value.toLocaleString("en")} ratings`,
};

/** What is shown stands in the address: #customer=…, #similar=…, #liked, or nothing for popular. */
const VIEWS = {
  customer: (id) => ({
    heading: `Recommended for ${id}`,
    ask: () => get(`recommend/${encodeURIComponent(id)}?explain=true`),
    measure: "score",
  }),
  similar: (id) => ({
    heading: `Similar to ${id}`,
    ask: () => get(`similar/${encodeURIComponent(id)}`),
    measure: "similarity",
  }),
  liked: () => ({
    heading: "Recommended for who likes these",
    ask: () =>
      get("recommend", {
        method: "POST",
        body: JSON.stringify({ liked: [...liked.keys()], explain: true }),
      }),
    measure: "score",
  }),
  popular: () => ({ heading: "Most popular", ask: () => get("popular"), measure: "ratings" }),
};

async function get(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return { ...answer, version: response.headers.get("model-version") };
}

function viewOfAddress() {
  const [[name, value] = ["popular"]] = new URLSearchParams(location.hash.slice(1));
  if (name === "liked" && !liked.size) return VIEWS.popular();
  if (name === "customer") find("customer").value = value;
  return (Object.hasOwn(VIEWS, name) ? VIEWS[name] : VIEWS.popular)(value);
}

async function show(view) {
  const turn = ++asked;
  find("status").textContent = "Loading";
  let answer = null;
  let problem = "";
  try {
    answer = await view.ask();
  } catch (error) {
    problem =
      error instanceof TypeError
        ? "The server does not answer."
        : `The server says: ${error.message}`;
  }
  if (turn !== asked) return; // something else was asked for meanwhile
  find("heading").textContent = view.heading;
  find("wrong").textContent = problem;
  showNote(answer);
  showProducts(answer, answer?.cold_start ? "ratings" : view.measure);
}

function showNote(answer) {
  const notes = [];
  if (answer?.cold_start)
    notes.push(
      "Cold start: the model knows nothing of this customer, so these are the most popular products.",
    );
  if (answer?.unknown_products)
    notes.push(`The model does not know ${answer.unknown_products.join(", ")}.`);
  find("note").textContent = notes.join(" ");
  find("note").hidden = !notes.length;
}

function showProducts(answer, measure) {
  const products = answer?.recommendations ?? answer?.products ?? [];
  find("products").replaceChildren(...products.map((product) => row(product, measure)));
  find("status").textContent = answer ? `${products.length} products, model ${answer.version}` : "";
}

/** Titles come from data: they are set as text, never as markup. */
function row(product, measure) {
  const item = find("product").content.cloneNode(true).firstElementChild;
  const title = product.title || product.product_id;
  const facts = [product.product_id, product.category];
  if (measure) facts.push(MEASURES[measure](product.score));
  item.querySelector(".title").textContent = title;
  item.querySelector(".facts").textContent = facts.filter(Boolean).join(" · ");
  const reasons = (product.because ?? []).map((each) => each.title || each.product_id);
  if (reasons.length)
    item.querySelector(".reasons").textContent = `because you liked ${reasons.join(", ")}`;
  const [similar, like] = item.querySelectorAll("button");
  similar.setAttribute("aria-label", `Similar to ${title}`);
  similar.addEventListener("click", () => go("similar", product.product_id));
  like.dataset.product = product.product_id;
  like.setAttribute("aria-label", `Like ${title}`);
  like.setAttribute("aria-pressed", liked.has(product.product_id));
  like.addEventListener("click", () => toggle(product));
  return item;
}

function toggle(product) {
  const id = product.product_id;
  if (!liked.delete(id)) liked.set(id, product);
  for (const button of document.querySelectorAll("#products .like")) {
    button.setAttribute("aria-pressed", liked.has(button.dataset.product));
  }
  find("liked").replaceChildren(...[...liked.values()].map((each) => row(each)));
  find("hint").hidden = liked.size > 0;
  find("for-liked").hidden = !liked.size;
}

function go(view, value = "") {
  const address = `#${new URLSearchParams({ [view]: value })}`;
  if (address === location.hash) arrive();
  else location.hash = address;
}

/** Say to a screen reader, too, that another list is there. */
async function arrive() {
  await show(viewOfAddress());
  find("heading").focus();
}

find("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  go("customer", find("customer").value.trim());
});
find("for-liked").addEventListener("click", () => go("liked"));
window.addEventListener("hashchange", arrive);
show(viewOfAddress());
