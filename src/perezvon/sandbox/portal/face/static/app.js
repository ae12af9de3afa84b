// Starts the page: listens to the portal's feed and shows each snapshot that arrives.

import { $, h } from "./dom.js";
import { listen, showControls } from "./controls.js";
import { showJournal } from "./journal.js";
import { setClock, showScreens, tick } from "./screens.js";
import { say } from "./words.js";

let first = true;

function show(snapshot) {
  setClock(snapshot.now);
  showScreens(snapshot, first);
  showControls(snapshot, first);
  showJournal(snapshot, first);
  const live = snapshot.calls.filter((call) => call.live).length;
  $("counts").replaceChildren(
    h("li", { class: live ? "hot" : "" }, h("b", {}, String(live)), ` ${say("count_live")}`),
    h("li", {}, h("b", {}, String(snapshot.calls_total)), ` ${say("count_calls")}`),
    h("li", {}, h("b", {}, String(snapshot.portal.requests)), ` ${say("count_requests")}`),
  );
  tick();
  first = false;
  document.documentElement.dataset.revision = String(snapshot.revision);
}

function status(state) {
  $("live").dataset.state = state;
  $("live").lastElementChild.textContent = say(`live_${state}`);
}

listen();
setInterval(tick, 500);
const feed = new EventSource("/face/feed");
feed.addEventListener("open", () => status("open"));
feed.addEventListener("error", () => status("lost"));
feed.addEventListener("snapshot", (event) => show(JSON.parse(event.data)));
