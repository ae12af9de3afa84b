// Employees' screens: who sits there, and the card that the portal pushes to them while a call is on.

import { $, h, icon, keyed } from "./dom.js";
import { callNumber, closeCard, phoneControls } from "./controls.js";
import { duration, phone, say } from "./words.js";

let clockOffset = 0; // seconds the portal's clock is ahead of this browser's

export function setClock(portalNow) {
  clockOffset = portalNow - Date.now() / 1000;
}

/** Running timers: every element with `data-since` (epoch seconds of the portal's clock). */
export function tick() {
  const now = Date.now() / 1000 + clockOffset;
  for (const timer of document.querySelectorAll("[data-since]")) {
    timer.textContent = duration(now - Number(timer.dataset.since));
  }
}

export function showScreens(snapshot, first) {
  const phones = new Map((snapshot.world?.phones ?? []).map((item) => [item.extension, item]));
  const people = snapshot.employees.map((person) => ({ ...person, phone: phones.get(person.extension) ?? null }));
  keyed($("screens"), people, (person) => person.id, screen, { first, update: fill });
}

function screen(person) {
  const element = h(
    "li",
    { class: "screen", "data-user": person.id },
    h("div", { class: "screen-head" }),
    h("div", { class: "desk" }, h("div", { class: "desk-cards" })),
    h("div", { class: "deskphone" }),
    h(
      "p",
      { class: "inside-links small" },
      h("a", { href: `/inside/report?user=${person.id}&lang=${document.documentElement.lang}`, target: "_blank" }, say("open_report")),
      " ",
      h("a", { href: `/inside/app?user=${person.id}&lang=${document.documentElement.lang}`, target: "_blank" }, say("open_app")),
    ),
  );
  fill(element, person);
  return element;
}

function fill(element, person) {
  element.classList.toggle("ringing", person.cards.length > 0);
  element.setAttribute("aria-label", say("screen_of", { name: person.name }));
  const badge = h("span", { class: "face", "aria-hidden": "true" }, initials(person.name));
  badge.style.setProperty("--hue", String((person.id * 67 + 190) % 360));
  element.querySelector(".screen-head").replaceChildren(
    badge,
    h("span", { class: "who" }, h("b", { title: person.name }, person.name), h("span", { title: person.position }, person.position || " ")),
    person.extension ? h("span", { class: "ext", title: say("extension") }, person.extension) : h("span", { class: "ext none", title: say("no_extension") }, "—"),
  );
  const desk = element.querySelector(".desk");
  desk.querySelector(".desk-idle")?.remove();
  keyed(desk.querySelector(".desk-cards"), person.cards, (call) => call.call_id, (call) => card(call, person.id));
  if (!person.cards.length) desk.append(h("p", { class: "desk-idle" }, icon("screen"), say("idle")));
  const deskphone = element.querySelector(".deskphone");
  deskphone.hidden = !person.phone;
  const print = JSON.stringify(person.phone);
  if (person.phone && deskphone.dataset.print !== print) deskphone.replaceChildren(...phoneControls(person.phone).filter(Boolean));
  deskphone.dataset.print = print;
}

function card(call, user) {
  return h(
    "article",
    { class: "card", "data-direction": call.direction, "data-call": call.call_id, "aria-label": say("card_of", { name: call.name || call.number }) },
    h(
      "div",
      { class: "card-top" },
      icon("phone"),
      h("span", {}, say(`card_${call.direction}`)),
      h("a", { class: "tabs", href: `/inside/card?user=${user}&call=${encodeURIComponent(call.call_id)}&lang=${document.documentElement.lang}`, target: "_blank", "aria-label": say("open_card"), title: say("open_card") }, icon("screen")),
      h("span", { class: "timer", "data-since": call.since }, "0:00"),
      h("button", { class: "close", type: "button", "aria-label": say("close_card"), title: say("close_card"), onclick: () => closeCard(user, call.call_id) }, "×"),
    ),
    h("div", { class: "card-name", title: call.name || call.number }, call.name || phone(call.number)),
    call.name ? h("button", { class: "number", type: "button", title: say("click_call"), onclick: () => callNumber(call.number) }, phone(call.number)) : null,
    h(
      "div",
      { class: "card-meta" },
      call.line ? h("span", { class: "tag", title: say("line") }, call.line_name || phone(call.line)) : null,
      call.crm ? h("span", { class: "tag" }, say(`crm_${call.crm.type.toLowerCase()}`, { id: call.crm.id })) : h("span", { class: "tag" }, say("crm_none")),
    ),
  );
}

function initials(name) {
  const words = name.split(/\s+/).filter(Boolean);
  return words.slice(0, 2).map((word) => [...word][0].toLocaleUpperCase()).join("") || "?";
}
