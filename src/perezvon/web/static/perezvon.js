// What all pages share: the menu of small screens, tables that become lists there, questions before what cannot be undone.
"use strict";
(() => {
  // Each cell learns its column's name, so that a table can be read as a list on a telephone (perezvon.css).
  function label(root) {
    for (const table of root.querySelectorAll(".wide > table")) {
      const names = [...table.querySelectorAll("thead th")].map((head) => (head.querySelector(".visually-hidden") ? "" : head.textContent.trim()));
      for (const row of table.querySelectorAll("tbody tr")) {
        [...row.children].forEach((cell, index) => { if (cell.colSpan === 1) cell.dataset.label = names[index] ?? ""; });
      }
      table.classList.add("labelled");
      const box = table.parentElement;
      const scrolls = box.scrollWidth > box.clientWidth; // the keyboard must reach what is beside the screen
      scrolls ? box.setAttribute("tabindex", "0") : box.removeAttribute("tabindex");
    }
  }

  document.addEventListener("click", (event) => {
    const toggler = event.target.closest("[data-toggles]");
    if (toggler) {
      const shown = document.getElementById(toggler.dataset.toggles).classList.toggle("show");
      toggler.setAttribute("aria-expanded", String(shown));
      return;
    }
    const copier = event.target.closest("[data-copies]");
    if (copier) {
      const field = document.getElementById(copier.dataset.copies);
      field.select();
      navigator.clipboard?.writeText(field.value).then(() => copier.classList.add("done"), () => document.execCommand("copy"));
    }
  });

  // How hard a new password is to guess: length first, then how many different signs. The server decides.
  document.addEventListener("input", (event) => {
    const meter = document.querySelector(`[data-strength-of="${CSS.escape(event.target.id || "")}"]`);
    if (!meter) return;
    const text = event.target.value, different = new Set(text.toLowerCase()).size;
    meter.value = text.length < 12 || different < 5 ? Math.min(1, text.length) : 1 + [12, 16, 20].filter((least) => text.length >= least && different >= least / 2).length;
  });

  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-reveals]")) return;
    for (const field of event.target.form.querySelectorAll('input[autocomplete$="password"]')) field.type = event.target.checked ? "text" : "password";
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const toggler of document.querySelectorAll('[data-toggles][aria-expanded="true"]')) {
      document.getElementById(toggler.dataset.toggles).classList.remove("show");
      toggler.setAttribute("aria-expanded", "false");
      toggler.focus();
    }
  });

  document.addEventListener("submit", (event) => {
    const question = (event.submitter?.dataset.question ?? event.target.dataset.question) || "";
    if (question && !window.confirm(question)) event.preventDefault();
  });

  document.addEventListener("htmx:load", (event) => label(event.target.parentElement ?? document));
  document.addEventListener("perezvon:fresh", () => label(document));
  window.addEventListener("resize", () => label(document));
  label(document);
})();
