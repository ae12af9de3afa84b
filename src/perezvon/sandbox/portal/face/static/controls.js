// What a visitor can do: click a number, place a call from the outside world, change a phone's behaviour, break the portal.

import { $, h, keyed } from "./dom.js";
import { phone, say } from "./words.js";

const BEHAVIOURS = ["answer", "ring", "busy", "reject"];
const BREAK = {
  unavailable: ["/sandbox/faults", { fault: "503", seconds: 10 }],
  slow: ["/sandbox/faults", { fault: "slow", seconds: 60, wait: 3 }],
  expired: ["/sandbox/tokens/expire", {}],
  outage: ["/sandbox/faults", { fault: "outage", seconds: 15 }],
};

async function post(path, body, button) {
  if (button) button.disabled = true;
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const data = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(data.error || `HTTP ${answer.status}`);
    return data;
  } catch (error) {
    toast(error.message, true);
    return null;
  } finally {
    if (button) button.disabled = false;
  }
}

export function toast(text, bad = false) {
  const box = h("div", { class: bad ? "toast bad" : "toast" }, text);
  $("toasts").append(box);
  setTimeout(() => box.remove(), bad ? 8000 : 4000);
}

/** Puts the number into the click-to-call box and dials it with the employee chosen there, as a click in the portal does. */
export function callNumber(number) {
  $("click-number").value = number;
  $("click").requestSubmit();
}

export function closeCard(user, call) {
  post("/sandbox/card/close", { user_id: user, call_id: call }, null);
}

export function listen() {
  $("click").addEventListener("submit", async (event) => {
    event.preventDefault();
    const user = $("click-user");
    const number = $("click-number").value.replace(/[^\d+]/g, "");
    const done = await post("/sandbox/click", { user_id: Number(user.value), number }, event.submitter);
    if (done) toast(say("clicked", { name: user.selectedOptions[0].textContent, number: phone(number) }));
  });
  $("faults").replaceChildren(
    ...Object.keys(BREAK).map((kind) => h("button", { class: "button", type: "button", "data-fault": kind, onclick: breakPortal }, say(`fault_${kind}`))),
  );
  $("mend").addEventListener("click", mend);
  $("world-call")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = Object.fromEntries(new FormData(event.target));
    const done = await post("/face/world/call", wanted, event.submitter);
    if (done) toast(say("world_rings", { from: phone(wanted.from), to: phone(wanted.to) }));
  });
}

async function breakPortal(event) {
  const kind = event.currentTarget.dataset.fault;
  const [path, body] = BREAK[kind];
  const done = await post(path, body, event.currentTarget);
  if (done && kind === "expired") toast(say("expired_done"));
}

async function mend(event) {
  const button = event.currentTarget;
  button.disabled = true;
  await fetch("/sandbox/faults", { method: "DELETE" }).catch((error) => toast(error.message, true));
  button.disabled = false;
}

export function showControls(snapshot, first) {
  options($("click-user"), snapshot.employees, (person) => person.id, (person) => [person.extension, person.name].filter(Boolean).join(" · "));
  const active = new Set(snapshot.portal.faults.map((fault) => fault.kind));
  for (const button of $("faults").children) {
    button.classList.toggle("on", active.has(button.dataset.fault));
  }
  $("mend").hidden = active.size === 0;
  const chip = $("fault-chip");
  chip.hidden = active.size === 0;
  chip.textContent = [...active].map((kind) => say(`fault_${kind}`)).join(", ");
  if (!$("world") || !snapshot.world) return;
  const lines = snapshot.world.lines;
  options($("world-lines"), lines, (line) => line.number, (line) => line.title);
  const owned = new Set(snapshot.employees.map((person) => person.extension));
  const strangers = snapshot.world.phones.filter((item) => !owned.has(item.extension));
  keyed($("world-calls"), snapshot.world.calls, (call) => call.from, worldCall, { first });
  keyed($("phones"), strangers, (item) => item.extension, (item) => h("li", { class: "row" }, h("b", {}, item.extension), ...phoneControls(item)), { first });
  $("phones-head").hidden = strangers.length === 0;
  $("world-error").hidden = !snapshot.world.error;
  $("world-error").textContent = snapshot.world.error;
}

function options(list, items, value, label) {
  const chosen = list.value;
  const print = JSON.stringify(items.map((item) => [value(item), label(item)]));
  if (list.dataset.print === print) return;
  list.dataset.print = print;
  list.replaceChildren(...items.map((item) => h("option", { value: value(item) }, label(item))));
  if ([...(list.options ?? [])].some((option) => option.value === chosen)) list.value = chosen;
}

function worldCall(call) {
  const hang = (event) => post("/face/world/hangup", { from: call.from }, event.currentTarget);
  return h(
    "li",
    { class: "row" },
    h("span", { class: "state", "data-state": call.state, title: say(`state_${call.state}`) }),
    h("span", {}, call.to ? `${phone(plus(call.from))} → ${phone(plus(call.to))}` : phone(plus(call.from))),
    h("button", { class: "button slim", type: "button", onclick: hang }, say("hang_up")),
  );
}

const plus = (number) => (/^\d{11,}$/.test(number) ? `+${number}` : number);

/** The desk phone under an employee's screen: what it does by itself, and its receiver. */
export function phoneControls(item) {
  const path = `/face/world/phone/${encodeURIComponent(item.extension)}`;
  const now = (behaviour) => (event) => post(path, { behaviour }, event.currentTarget);
  return [
    h("span", { class: "state", "data-state": item.state, title: say(`state_${item.state}`) }),
    h(
      "select",
      {
        "aria-label": say("behaviour_of", { extension: item.extension }),
        onchange: (event) => post(path, { behaviour: event.target.value }, null),
      },
      ...BEHAVIOURS.map((kind) => h("option", { value: kind, selected: kind === item.behaviour }, say(`behaviour_${kind}`))),
    ),
    item.state === "ringing" || item.state === "busy" ? h("button", { class: "button slim good", type: "button", onclick: now("pick_up") }, say("pick_up")) : null,
    item.state === "idle" ? null : h("button", { class: "button slim", type: "button", onclick: now("hang_up") }, say("hang_up")),
  ];
}
