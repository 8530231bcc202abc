// What is wrong with deliveries and reconciliation, and what a supervisor does about it.
// The token is kept in memory alone; text goes into the page as text and never as markup.
import { WORDS } from "/console/words.js";

const API = {
  token: ["POST", "/v1/auth/token"],
  alerts: ["GET", "/v1/alerts"],
  acknowledge: ["POST", "/v1/alerts/{alert_id}/acknowledge"],
  summary: ["GET", "/v1/order-syncs/summary"],
  retryMany: ["POST", "/v1/order-syncs/retry"],
  syncs: ["GET", "/v1/order-syncs"],
  sync: ["GET", "/v1/order-syncs/{sync_id}"],
  retry: ["POST", "/v1/order-syncs/{sync_id}/retry"],
  correct: ["POST", "/v1/order-syncs/{sync_id}/correct"],
  giveUp: ["POST", "/v1/order-syncs/{sync_id}/give-up"],
  judge: ["POST", "/v1/order-syncs/{sync_id}/judge"],
  changes: ["GET", "/v1/order-changes"],
  retryChange: ["POST", "/v1/order-changes/{change_id}/retry"],
  giveUpChange: ["POST", "/v1/order-changes/{change_id}/give-up"],
  compare: ["POST", "/v1/reconciliations"],
  run: ["GET", "/v1/reconciliation-runs/{run_id}"],
  day: ["GET", "/v1/reconciliations/{day}"],
  resolutions: ["GET", "/v1/reconciliation-resolutions"],
  cases: ["GET", "/v1/reconciliation-cases"],
  resolve: ["POST", "/v1/reconciliation-cases/{case_id}/resolve"],
};
const GIVE_UP = ["customer_withdrew", "entered_by_hand", "cannot_be_served", "sold_by_mistake", "other"];
const ENDS = ["completed", "partial", "cancelled"];
const CLOSE = ["arranged_by_hand", "customer_keeps_order", "not_needed", "other"];
// What the list of deliveries may show.
const WHICH = {
  for_a_person: { for_a_person: true },
  failed: { failed: true },
  too_long: { stands_too_long: true },
  held: { remote_state: "held" },
  pending: { remote_state: "pending" },
  partial: { remote_state: "partial" },
};
const EXPLANATIONS = ["entered_by_hand", "agreed_with_customer", "other_channel", "test_order", "known_fault", "other"];

let language = navigator.language.toLowerCase().startsWith("en") ? "en" : "zh";
let tokens = null;
let resolutionWords = {};
const one = (id) => document.getElementById(id);
const say = (key) => (WORDS[key] ?? [key, key])[language === "zh" ? 0 : 1];

// --- asking the API ---

async function ask([method, path], { ids = {}, query = {}, body = null } = {}, again = true) {
  let url = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(ids[name]));
  const wanted = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  if (wanted.length) url += "?" + new URLSearchParams(wanted);
  const headers = { "Accept-Language": language, "Authorization": `Bearer ${tokens.access_token}` };
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  if (answer.status === 401 && again && await renewed()) return ask([method, path], { ids, query, body }, false);
  if (answer.status === 401) leave();
  const told = await answer.json();
  if (!answer.ok) throw new Error(`${told.title} ${told.detail}`);
  return told;
}

async function signedIn(fields) {
  const answer = await fetch(API.token[1], {
    method: API.token[0],
    headers: { "Accept-Language": language },
    body: new URLSearchParams(fields),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail);
  tokens = told;
}

async function renewed() {
  try {
    await signedIn({ grant_type: "refresh_token", refresh_token: tokens.refresh_token });
    return true;
  } catch {
    return false;
  }
}

// An id that sorts by the moment it was made (UUIDv7), as the API asks for.
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let now = Date.now();
  for (let at = 5; at >= 0; at--) {
    bytes[at] = now % 256;
    now = Math.floor(now / 256);
  }
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

// --- making the page ---

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function button(text, act) {
  const made = element("button", text);
  made.type = "button";
  made.addEventListener("click", () => tried(act));
  return made;
}

function notice(text) {
  one("notice").textContent = text;
  one("notice").hidden = !text;
}

async function tried(act) {
  notice("");
  try {
    await act();
  } catch (error) {
    notice(error.message || say("failed"));
  }
}

function fill(list, rows, card) {
  list.replaceChildren(...rows.map(card));
  if (!rows.length) list.append(element("li", say("nothing"), "aside"));
}

const moment = (text) => (text ? new Date(text).toLocaleString(language) : "");
const buttons = (...made) => {
  const line = element("p", null, "line");
  line.append(...made);
  return line;
};

// Ask for some values; a list of fields: name, kind (text, datetime-local, or a list of codes), needed.
function form(title, fields, act) {
  one("dialog-title").textContent = title;
  one("wrong").textContent = "";
  one("fields").replaceChildren(...fields.map(([name, kind, needed]) => {
    const label = element("label", say(name));
    const field = element(Array.isArray(kind) ? "select" : "input");
    if (Array.isArray(kind)) {
      field.append(...kind.map((code) => {
        const option = element("option", say(code));
        option.value = code;
        return option;
      }));
    } else field.type = kind;
    field.name = name;
    field.required = Boolean(needed);
    label.append(field);
    return label;
  }));
  one("dialog-form").onsubmit = async (event) => {
    event.preventDefault();
    const given = [...new FormData(event.target)].filter(([, value]) => value !== "");
    try {
      await act(Object.fromEntries(given));
      one("dialog").close();
      await shown();
    } catch (error) {
      one("wrong").textContent = error.message;
    }
  };
  one("dialog").showModal();
}

function alertCard(alert) {
  const card = element("li");
  card.append(
    element("p", alert.words, "why"),
    element("p", moment(alert.at), "aside"),
    buttons(button(say("acknowledge"), () => form(say("acknowledge"), [["note", "text", true]], (given) =>
      ask(API.acknowledge, { ids: { alert_id: alert.id }, body: given })))),
  );
  return card;
}

function causeCard(trouble) {
  const card = element("li");
  card.append(
    element("p", `${trouble.count} × ${trouble.why}`, "why"),
    element("p", `${say(`state.${trouble.state}`)} · ${trouble.advice}`),
  );
  if (trouble.state === "parked") {
    card.append(buttons(button(say("retry_all"), async () => {
      const told = await ask(API.retryMany, { body: { cause: trouble.cause } });
      await shown();
      notice(`${say("retried")}: ${told.taken_up}, ${say("left")}: ${told.left}`);
    })));
  }
  return card;
}

function standstillCard(standstill) {
  const card = element("li");
  card.append(
    element("p", `${standstill.count} × ${say(`remote.${standstill.remote_state}`)}`, "why"),
    element("p", `${say("since")} ${moment(standstill.since)}`, "aside"),
    buttons(button(say("show"), async () => {
      one("which").value = standstill.remote_state;
      await deliveries();
    })),
  );
  return card;
}

function syncCard(sync) {
  const card = element("li");
  card.append(
    element("p", sync.why, "why"),
    element("p", sync.last_error),
    element("p", sync.advice),
    element("p", `${say("sale")} ${sync.sale_id} · ${say(`state.${sync.state}`)} · ${say("attempts")} ${sync.attempts}`, "aside"),
  );
  if (sync.remote_state) card.append(element("p", `${say("order")} ${sync.remote_id}: ${say(`remote.${sync.remote_state}`)}`, "aside"));
  if (sync.stands_since) card.append(element("p", `${say("since")} ${moment(sync.stands_since)}`, "aside"));
  if (sync.next_try_at) card.append(element("p", `${say("next_try")} ${moment(sync.next_try_at)}`, "aside"));
  const ids = { sync_id: sync.id };
  const line = buttons(button(say("details"), async () => {
    const story = await ask(API.sync, { ids });
    const tries = story.failed_attempts.map((each) =>
      `${moment(each.at)}  #${each.number} ${each.trying} ${each.answered ?? ""} ${each.why} ${each.said ?? ""}`);
    card.append(
      element("p", say("failed_attempts"), "why"), element("pre", tries.join("\n") || say("nothing")),
      element("p", say("body"), "why"), element("pre", JSON.stringify(story.body, null, 1)),
    );
    line.firstChild.disabled = true;
  }));
  if (sync.state === "parked") {
    line.append(
      button(say("retry"), async () => {
        await ask(API.retry, { ids });
        await shown();
      }),
      button(say("give_up"), () => form(say("give_up"), [["reason", GIVE_UP, true], ["remote_id", "text"], ["note", "text"]], (given) =>
        ask(API.giveUp, { ids, body: given }))),
    );
  }
  if (sync.state === "finished" && sync.cause) {
    line.append(button(say("judge"), () => form(say("judge"), [["ended_as", ENDS, true], ["missing", "text"]], (given) =>
      ask(API.judge, {
        ids,
        body: { ended_as: given.ended_as, missing: (given.missing ?? "").split(/[^0-9]+/).filter(Boolean).map(Number) },
      }))));
  }
  if (["waiting", "parked"].includes(sync.state)) {
    const id = newId();
    line.append(button(say("correct"), () => form(say("correct"), [
      ["customer_number", "text"], ["address_number", "text"], ["technician_number", "text"],
      ["requested_start", "datetime-local"], ["note", "text"], ["reason", "text", true],
    ], ({ requested_start: start, ...given }) => ask(API.correct, {
      ids,
      body: { id, ...given, ...(start ? { requested_start: new Date(start).toISOString() } : {}) },
    }))));
  }
  card.append(line);
  return card;
}

function changeCard(change) {
  const card = element("li");
  card.append(
    element("p", `${say(`change.${change.kind}`)}: ${change.reason}`, "why"),
    element("p", change.last_error),
    element("p", `${say("sale")} ${change.sale_id} · ${say(`change.${change.state}`)} · ${moment(change.ended_at ?? change.asked_at)}`, "aside"),
  );
  const ids = { change_id: change.id };
  // One that the other side has not decided goes on by itself; a person can only ask there.
  if (change.state === "sent") return card;
  const id = newId();
  card.append(buttons(
    button(say("retry"), async () => {
      await ask(API.retryChange, { ids, body: { id } });
      await shown();
    }),
    button(say("give_up"), () => form(say("give_up"), [["reason", CLOSE, true], ["note", "text"]], (given) =>
      ask(API.giveUpChange, { ids, body: given }))),
  ));
  return card;
}

const FIELDS = {
  explain: [["explanation", EXPLANATIONS, true], ["note", "text"]],
  link: [["sale_id", "text", true], ["note", "text"]],
  cancel_theirs: [["order_id", "text"], ["note", "text"]],
};

function caseCard(found) {
  const card = element("li");
  const { ours, theirs, others } = found.facts;
  card.append(
    element("p", found.words, "why"),
    element("p", `${found.day} · ${found.sale_id ? `${say("sale")} ${found.sale_id}` : ""} ${found.order_id ? `${say("order")} ${found.order_id}` : ""}`, "aside"),
  );
  for (const [key, value] of [["ours", ours], ["theirs", theirs], ["others", others]]) {
    if (value) card.append(element("p", say(key)), element("pre", JSON.stringify(value, null, 1)));
  }
  if (found.last_error) card.append(element("p", found.last_error));
  if (found.state === "resolving") card.append(element("p", say("resolving"), "aside"));
  card.append(buttons(...found.possible.map((resolution) => {
    const words = resolutionWords[resolution] ?? resolution;
    return button(words, () => form(words, FIELDS[resolution] ?? [["note", "text"]], (given) =>
      ask(API.resolve, { ids: { case_id: found.id }, body: { resolution, ...given } })));
  })));
  return card;
}

// --- reading ---

async function page(api, query, key, list, card, more, token = null) {
  const told = await ask(api, { query: { ...query, page_token: token } });
  if (token) list.append(...told[key].map(card));
  else fill(list, told[key], card);
  more.hidden = !told.next_page_token;
  more.onclick = () => tried(() => page(api, query, key, list, card, more, told.next_page_token));
}

async function sum() {
  const day = one("day").value;
  const told = await ask(API.day, { ids: { day } });
  one("sum").hidden = !told.units.length;
  const names = ["sales", "equal", "healed", "open", "explained", "orders", "unaccounted"];
  one("sum").textContent = names.map((name) => `${say(`sum.${name}`)} ${told[name]}`).join(" · ");
}

async function compare() {
  const id = newId();
  await ask(API.compare, { body: { id, day: one("day").value } });
  for (let waited = 0; waited < 600; waited++) {
    const run = await ask(API.run, { ids: { run_id: id } });
    if (run.state === "failed") throw new Error(run.last_error);
    if (run.state === "done") break;
    notice(`${say("comparing")}: ${run.orders_read} / ${run.orders_expected ?? "?"}`);
    await new Promise((then) => setTimeout(then, 1000));
  }
  notice("");
  await shown();
}

async function deliveries() {
  await page(API.syncs, WHICH[one("which").value], "order_syncs", one("syncs"), syncCard, one("more-syncs"));
}

async function shown() {
  const told = await ask(API.resolutions);
  resolutionWords = Object.fromEntries(told.resolutions.map((each) => [each.resolution, each.words]));
  fill(one("alerts"), (await ask(API.alerts)).alerts, alertCard);
  const summary = await ask(API.summary);
  fill(one("causes"), summary.troubles, causeCard);
  fill(one("standstills"), summary.standstills, standstillCard);
  await deliveries();
  await page(API.changes, { for_a_person: true }, "order_changes", one("changes"), changeCard, one("more-changes"));
  await page(API.cases, { state: "open" }, "cases", one("cases"), caseCard, one("more-cases"));
  await sum();
}

function worded() {
  document.documentElement.lang = language;
  for (const each of document.querySelectorAll("[data-word]")) each.textContent = say(each.dataset.word);
  one("language").textContent = say("language");
}

function leave() {
  tokens = null;
  one("board").hidden = one("sign-out").hidden = true;
  one("sign-in").hidden = false;
}

one("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  tried(async () => {
    const form = event.target;
    await signedIn({ grant_type: "password", ...Object.fromEntries(new FormData(form)) });
    form.reset();
    form.hidden = true;
    one("board").hidden = one("sign-out").hidden = false;
    await shown();
  });
});
one("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  worded();
  if (tokens) tried(shown);
});
one("sign-out").addEventListener("click", leave);
one("which").addEventListener("change", () => tried(deliveries));
one("day").addEventListener("change", () => tried(sum));
one("day-form").addEventListener("submit", (event) => {
  event.preventDefault();
  tried(compare);
});
one("never-mind").addEventListener("click", () => one("dialog").close());
// Yesterday is what the night has compared.
const yesterday = new Date(Date.now() - 86_400_000);
one("day").value = new Date(yesterday - yesterday.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
worded();
