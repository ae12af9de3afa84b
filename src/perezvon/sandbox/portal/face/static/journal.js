// What the portal has written down: the journal of calls with its player, CRM objects, tasks and chats.

import { $, h, icon, keyed } from "./dom.js";
import { callNumber } from "./controls.js";
import { count, duration, moment, phone, say } from "./words.js";

export function showJournal(snapshot, first) {
  keyed(document.querySelector("#calls tbody"), snapshot.calls, (call) => call.call_id, callRow, { first, keep: keepPlayer });
  $("calls-empty").hidden = snapshot.calls.length > 0;
  $("calls-sum").textContent = snapshot.calls_total ? count("calls_sum", snapshot.calls_total) : "";
  column("leads", snapshot.clients, clientItem, first);
  column("tasks", snapshot.tasks, taskItem, first);
  column("chats", snapshot.chats, chatItem, first);
}

function column(name, items, make, first) {
  const list = $(name);
  list.querySelector(":scope > .empty")?.remove();
  keyed(list, items, (item) => item.key, make, { first });
  $(`${name}-count`).textContent = String(items.length);
  if (!items.length) list.append(h("li", { class: "empty" }, say(`${name}_empty`)));
}

function number(value) {
  return h("button", { class: "number", type: "button", title: say("click_call"), onclick: () => callNumber(value) }, phone(value));
}

function callRow(call) {
  const outcome = call.live ? "live" : call.talked ? "good" : call.direction === "incoming" ? "bad" : "quiet";
  const sign = outcome === "bad" ? "missed" : call.direction;
  return h(
    "tr",
    { "data-call": call.call_id, "data-outcome": outcome },
    h("td", {}, h("span", { class: "kind", "data-outcome": outcome, title: `${call.status_code} ${call.status_text}`.trim() }, icon(sign), status(call, outcome))),
    h("td", {}, h("span", { class: "two" }, call.name ? h("b", { title: call.name }, call.name) : null, number(call.number))),
    h(
      "td",
      {},
      h("span", { class: "two" }, h("span", {}, call.responsible || "—"), h("span", { class: "dim", title: say("line") }, call.line_name || phone(call.line))),
    ),
    h("td", { class: "nowrap dim" }, moment(call.started)),
    h("td", { class: "num" }, call.live ? "…" : duration(call.duration)),
    h("td", {}, player(call), call.description ? described(call) : null),
  );
}

function described(call) {
  const told = h("span", { class: "described" }, call.description);
  return h("details", { class: "small" }, h("summary", { class: "dim" }, say("activity_text")), told);
}

function status(call, outcome) {
  if (outcome === "live") return say("status_live");
  if (outcome === "good") return say(`status_${call.direction}`);
  return say(`status_${call.direction}_${outcome === "bad" ? "missed" : "failed"}`, { code: call.status_code });
}

function player(call) {
  if (!call.record) return h("span", { class: "dim" }, call.live ? "" : "—");
  return h("audio", { controls: true, preload: "metadata", src: call.record.url, "aria-label": say("record_of", { number: call.number }) });
}

function keepPlayer(old, fresh) {
  const before = old.querySelector("audio");
  const after = fresh.querySelector("audio");
  if (before && after && before.getAttribute("src") === after.getAttribute("src")) after.replaceWith(before);
}

function clientItem(client) {
  return h(
    "li",
    { class: "item", "data-entity": client.key },
    h("div", { class: "item-top" }, h("b", {}, client.title), h("span", { class: "tag" }, say(`crm_${client.type.toLowerCase()}`, { id: client.id }))),
    client.name && client.name !== client.title ? h("div", {}, client.name) : null,
    ...client.phones.map((value) => h("div", {}, number(value))),
    h("div", { class: "dim small" }, [client.responsible, client.status, client.source].filter(Boolean).join(" · ")),
  );
}

function taskItem(task) {
  return h(
    "li",
    { class: task.done ? "item done" : "item", "data-task": task.id },
    h("div", { class: "item-top" }, h("b", {}, task.title), h("span", { class: "tag" }, say(`task_${task.status}`))),
    task.description ? h("div", { class: "small dim" }, task.description) : null,
    h("div", { class: "dim small" }, [task.responsible, ...task.links].filter(Boolean).join(" · ")),
    task.deadline ? h("div", { class: task.overdue ? "small late" : "small dim" }, say("deadline", { at: moment(task.deadline, false) })) : null,
    ...task.comments.map((comment) => h("div", { class: "said" }, h("b", {}, comment.author), comment.text)),
  );
}

function chatItem(chat) {
  return h(
    "li",
    { class: "item", "data-chat": chat.key },
    h("div", { class: "item-top" }, h("b", {}, chat.title), h("span", { class: "tag" }, say(`chat_${chat.kind}`))),
    ...chat.messages.map((message) => h("div", { class: "said" }, h("b", {}, `${message.author || say("system")}, ${moment(message.at)}`), message.text)),
  );
}
