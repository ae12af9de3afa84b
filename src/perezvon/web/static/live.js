// The live board: rows come ready-made by server-sent events; here they are put in their places, and seconds are counted.
"use strict";
(() => {
  const SILENT = 25000; // ms without any event: the connection is dead, whatever the browser thinks
  const AGAIN = 3000;
  const live = document.getElementById("live");
  const board = document.getElementById("board");
  const link = document.getElementById("link");
  const deaf = document.getElementById("deaf");
  let ahead = Number(live.dataset.now) - Date.now() / 1000; // of the server's clock before this one's
  let heard = Date.now();
  let source = null;

  function clock(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  }

  function count() {
    const now = Date.now() / 1000 + ahead;
    for (const time of board.querySelectorAll("time[data-since]")) {
      const told = clock(now - Number(time.dataset.since));
      if (time.textContent !== told) time.textContent = told;
    }
  }

  function row(id) {
    return [...board.children].find((one) => one.dataset.id === id);
  }

  function put(told) {
    const holder = document.createElement("template");
    holder.innerHTML = told.html;
    const fresh = holder.content.firstElementChild;
    const old = row(told.id);
    if (old) {
      const focused = old.contains(document.activeElement);
      old.replaceWith(fresh);
      if (focused) fresh.querySelector("a")?.focus();
      return;
    }
    const started = Number(fresh.dataset.started);
    const after = [...board.children].find((one) => Number(one.dataset.started) < started);
    board.insertBefore(fresh, after ?? null);
  }

  function tally() {
    for (const cell of document.querySelectorAll("[data-count]")) {
      cell.textContent = [...board.children].filter((one) => one.dataset.stage === cell.dataset.count).length;
    }
    document.getElementById("quiet").hidden = board.children.length > 0;
    count();
  }

  function connected(yes) {
    document.body.classList.toggle("stale", !yes);
    const state = yes ? "connected" : "lost";
    if (link.dataset.state === state) return;
    link.dataset.state = state;
    link.textContent = yes ? link.dataset.connected : link.dataset.lost.replace("{moment}", new Date(heard).toLocaleTimeString(document.documentElement.lang));
  }

  function hear(event) {
    heard = Date.now();
    connected(true);
    return JSON.parse(event.data);
  }

  async function lost() {
    if (!source) return;
    source.close();
    source = null;
    connected(false);
    try { // signed out meanwhile? Then the page itself says so
      const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
      if (answer.redirected || answer.status === 401 || answer.status === 403) return location.reload();
    } catch { /* the service does not answer */ }
    setTimeout(connect, AGAIN);
  }

  function connect() {
    heard = Date.now();
    source = new EventSource(live.dataset.events);
    source.addEventListener("state", (event) => {
      const told = hear(event);
      ahead = told.now - Date.now() / 1000;
      deaf.hidden = told.deaf.length === 0;
      deaf.textContent = told.deaf.length ? deaf.dataset.text.replace("{names}", told.deaf.join(", ")) : "";
      const there = new Set(told.rows.map((one) => one.id));
      for (const old of [...board.children]) if (!there.has(old.dataset.id)) old.remove();
      told.rows.forEach(put);
      tally();
    });
    source.addEventListener("change", (event) => {
      const told = hear(event);
      for (const id of told.gone) row(id)?.remove();
      told.rows.forEach(put);
      tally();
    });
    source.addEventListener("alive", hear);
    source.addEventListener("refused", () => location.reload());
    source.addEventListener("error", lost);
  }

  setInterval(() => {
    count();
    if (source && Date.now() - heard > SILENT) lost();
  }, 1000);
  window.addEventListener("pagehide", () => source?.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  tally();
  connect();
})();
