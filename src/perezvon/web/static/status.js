// Keeps the status fresh: the same page is fetched and its #live put in the place of the old one.
"use strict";
const PAUSE = 3000;

async function refresh() {
  if (document.hidden || String(window.getSelection())) return;
  const answer = await fetch(location.href, { headers: { "X-Refresh": "1" } });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
  if (!fresh) return;
  document.getElementById("live").replaceChildren(...fresh.childNodes);
  document.dispatchEvent(new Event("perezvon:fresh"));
}

async function keep() {
  try {
    await refresh();
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale"); // the service does not answer: what is shown is old
  }
  setTimeout(keep, PAUSE);
}

setTimeout(keep, PAUSE);
