// Forms of settings: rows that are added, removed and moved; lists in order; a question before unsaved changes are left.
"use strict";
(() => {
  const form = document.querySelector("form[data-guard]");
  let fresh = 0;
  let leaving = false;

  function changed() {
    if (!form) return;
    form.dataset.changed = "";
    const told = form.querySelector(".unsaved");
    if (told && !told.textContent) told.textContent = told.dataset.told;
  }

  function renumber(rows) {
    rows.querySelector("[data-none]").hidden = rows.querySelectorAll("[data-list] > details").length > 0;
  }

  function added(rows) {
    const token = `new${(fresh += 1)}x${Date.now().toString(36)}`;
    const box = document.createElement("div");
    box.append(rows.querySelector("template").content.cloneNode(true));
    const before = `${rows.dataset.rows}.new`;
    for (const one of box.querySelectorAll("*")) {
      for (const name of ["id", "name", "for", "aria-describedby", "data-beside", "data-picker"]) {
        const value = one.getAttribute(name);
        if (value) one.setAttribute(name, value.replaceAll(before, `${rows.dataset.rows}.${token}`));
      }
      if (one.name === `${rows.dataset.rows}.row`) one.value = token;
    }
    const row = box.firstElementChild;
    rows.querySelector("[data-list]").append(row);
    renumber(rows);
    row.querySelector("input:not([type=hidden]), select, textarea")?.focus();
    changed();
    return row;
  }

  function taken(button) {
    const row = added(document.querySelector(`[data-rows="${button.dataset.into}"]`));
    const field = row.querySelector(`[name$=".${button.dataset.field}"]`);
    field.value = button.dataset.offer;
    row.querySelector("[data-called]").textContent = button.dataset.offer;
    button.closest("li").remove();
  }

  function moved(button) {
    const one = button.closest("li, details");
    const other = button.dataset.move === "up" ? one.previousElementSibling : one.nextElementSibling;
    if (!other) return;
    button.dataset.move === "up" ? other.before(one) : other.after(one);
    button.focus();
    changed();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("add" in button.dataset) added(button.closest("[data-rows]"));
    else if ("offer" in button.dataset) taken(button);
    else if ("pick" in button.dataset) picked(button.closest("[data-picker]"));
    else if ("move" in button.dataset) moved(button);
    else if ("remove" in button.dataset) {
      const rows = button.closest("[data-rows]");
      button.closest("details").remove();
      renumber(rows);
      rows.querySelector("[data-add]").focus();
      changed();
    }
  });

  // What a value is called, or that it is not in the list of what the portal knows.
  function told(field) {
    const known = document.getElementById(`${field.id}-known`);
    const list = document.getElementById(field.getAttribute("list"));
    if (!known || known.tagName !== "P") return;
    const option = [...(list?.options ?? [])].find((one) => one.value === field.value);
    known.querySelector("[data-words]").textContent = option?.label ?? "";
    const fine = option || !field.value || field.value.startsWith("chat");
    known.querySelector(".doubt").textContent = fine ? "" : (list?.dataset.known ?? "");
  }

  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field.matches("input[list]")) told(field);
    for (const one of document.querySelectorAll("[data-beside]")) {
      if (!field.name || one.dataset.beside !== field.name) continue;
      one.setAttribute("list", `offers-fields-${field.value}`);
      told(one);
    }
  });
  document.addEventListener("keydown", (event) => {
    const picker = event.key === "Enter" && event.target.closest?.("[data-picker]");
    if (!picker || event.target.tagName !== "INPUT") return;
    event.preventDefault();
    picked(picker);
  });

  function picked(picker) {
    const field = picker.querySelector("input");
    const text = document.getElementById(picker.dataset.picker);
    const value = field.value.trim();
    if (value) text.value = [...text.value.split("\n").filter((line) => line.trim()), value].join("\n");
    field.value = "";
    field.focus();
    changed();
  }

  let held = null;
  document.addEventListener("dragstart", (event) => {
    held = event.target.closest?.("[data-order] > li") ?? null;
    held?.classList.add("held");
  });
  document.addEventListener("dragover", (event) => {
    const over = event.target.closest?.("[data-order] > li");
    if (!held || !over || over.parentElement !== held.parentElement) return;
    event.preventDefault();
    const box = over.getBoundingClientRect();
    event.clientY < box.top + box.height / 2 ? over.before(held) : over.after(held);
  });
  document.addEventListener("dragend", () => {
    if (held) changed();
    held?.classList.remove("held");
    held = null;
  });

  if (form) {
    form.addEventListener("input", changed);
    form.addEventListener("submit", () => { leaving = true; });
    window.addEventListener("pageshow", () => { leaving = false; });
    window.addEventListener("beforeunload", (event) => {
      if ("changed" in form.dataset && !leaving) event.preventDefault();
    });
  }
  document.getElementById("wrong")?.focus();

  // Who comes from the search sees what was looked for, also inside a closed row.
  const wanted = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  if (wanted) {
    for (let box = wanted.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    wanted.closest(".setting")?.classList.add("sought");
    wanted.focus();
  }
})();
