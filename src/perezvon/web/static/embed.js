// Our pages inside the portal. Browsers keep cookies from us there: the page's one-time code becomes a bearer that only this
// script knows; it goes with every request in a header. Then the card of a call is kept as the call is.
"use strict";
(() => {
  const main = document.getElementById("main");
  const trouble = document.getElementById("trouble");
  const home = `/bitrix24/${encodeURIComponent(main.dataset.portal)}`;
  const adding = document.getElementById("adding");
  const refused = document.getElementById("refused");
  const card = main.dataset.page === "card";
  const PAUSE = 2000;
  let session = { bearer: "", badge: "", call: "" };
  let renewing = 0;

  function complain(text) {
    const place = document.querySelector("dialog[open] #refused") ?? trouble;
    place.textContent = text;
    place.hidden = !text;
  }

  async function answered(answer) {
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error(told.message || trouble.dataset.failed), { code: told.error || "", status: answer.status });
    return told;
  }

  // The session: at first by the code, then by the bearer, each time before it ends.
  async function renew(headers) {
    const told = await answered(await fetch(`${home}/session`, { method: "POST", headers }));
    session = told;
    clearTimeout(renewing);
    renewing = setTimeout(keep, Math.max(told.seconds * 500, 5000));
    document.body.dataset.session = "open";
  }

  const mine = () => ({ Authorization: `Bearer ${session.bearer}` });

  async function keep() {
    try {
      await renew(mine());
    } catch (error) {
      if (error.status === 401 || error.status === 403) return complain(error.message);
      renewing = setTimeout(keep, 10000); // the service restarts, or the network is away
    }
  }

  document.addEventListener("htmx:configRequest", (event) => Object.assign(event.detail.headers, mine()));
  document.addEventListener("htmx:responseError", (event) => {
    let message = trouble.dataset.failed;
    try { message = JSON.parse(event.detail.xhr.responseText).message || message; } catch { /* no JSON */ }
    complain(message);
  });
  document.addEventListener("htmx:sendError", () => complain(trouble.dataset.lost));

  const now = () => document.getElementById("now").dataset;
  const refresh = () => htmx.trigger("#live", "changed");

  // ---- the card: what happens comes as server-sent events, by fetch, for EventSource can send no header.
  async function follow() {
    for (;;) {
      if (session.badge && session.call) {
        try {
          await read();
        } catch { /* connects again */ }
      } else if (!document.hidden) {
        refresh();
      }
      await new Promise((done) => setTimeout(done, PAUSE));
    }
  }

  async function read() {
    const answer = await fetch("/api/events", { headers: { Authorization: `Bearer ${session.badge}` } });
    if (!answer.ok) return void (await keep());
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    refresh();
    for (let text = "", part; !(part = await reader.read()).done; ) {
      const blocks = (text + part.value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) heed(Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s))));
    }
  }

  function heed(event) {
    if (!event.data) return;
    if (event.event === "refused") return void keep();
    const told = JSON.parse(event.data);
    if (event.event === "call" && told.call !== session.call) return;
    refresh();
  }

  document.addEventListener("htmx:afterSwap", async () => {
    document.dispatchEvent(new Event("perezvon:fresh"));
    if (!card) return;
    if (now().call && now().call !== session.call) await keep(); // now it is known: a badge for it
    else if (now().stage && !session.badge) await keep();
  });

  adding?.addEventListener("close", () => document.getElementById(`do-${adding.dataset.kind}`)?.focus());

  async function order(action, fields, button) {
    complain("");
    if (button) button.disabled = true;
    try {
      await answered(
        await fetch(`/api/calls/${encodeURIComponent(session.call)}/${action}`, {
          method: "POST",
          headers: { Authorization: `Bearer ${session.badge}`, "Content-Type": "application/json", "Accept-Language": document.documentElement.lang },
          body: JSON.stringify(fields),
        }),
      );
      return true;
    } catch (error) {
      complain(error.message);
      return false;
    } finally {
      if (button) button.disabled = false;
      refresh();
    }
  }


  function open(kind) {
    adding.dataset.kind = kind;
    const title = document.getElementById("adding-title");
    title.textContent = title.dataset[kind];
    refused.hidden = true;
    document.getElementById("who").value = "";
    document.getElementById("people").replaceChildren();
    adding.showModal();
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { order: action, channel, opens, closes, code, number, file } = button.dataset;
    if (action) await order(action, channel ? { channel } : {}, button);
    else if (opens) open(opens);
    else if (closes) adding.close();
    else if (file) await save(file, button.dataset.name);
    else if (button.classList.contains("choice") && (await order(adding.dataset.kind, code ? { code } : { number }, button))) adding.close();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.id === "who") document.querySelector("#people .choice")?.click();
  });

  async function save(path, name) {
    try {
      const answer = await fetch(path, { headers: mine() });
      if (!answer.ok) throw new Error(trouble.dataset.failed);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (error) {
      complain(error.message);
    }
  }

  async function begin() {
    const code = main.dataset.code;
    delete main.dataset.code;
    try {
      await renew({ "X-One-Time-Code": code });
    } catch (error) {
      return complain(error.message);
    }
    if (card) return follow();
    if (main.dataset.page === "app") setInterval(() => document.hidden || refresh(), 30000);
  }

  begin();
})();
