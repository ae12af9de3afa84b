// The sound of a recording as a picture above its player: click where it is to be heard. Without it the player is plain.
"use strict";
(() => {
  const SPACE = "http://www.w3.org/2000/svg";
  for (const player of document.querySelectorAll(".player[data-peaks]")) {
    const picture = player.querySelector(".waveform");
    const audio = player.querySelector("audio");
    fetch(player.dataset.peaks).then((answer) => (answer.ok ? answer.json() : [])).then((peaks) => {
      if (peaks.length < 2) return;
      picture.setAttribute("viewBox", `0 0 ${peaks.length * 3} 100`);
      peaks.forEach((peak, place) => {
        const bar = document.createElementNS(SPACE, "rect");
        const height = Math.max(peak, 3);
        for (const [name, value] of Object.entries({ x: place * 3, y: (100 - height) / 2, width: 2, height })) bar.setAttribute(name, value);
        picture.append(bar);
      });
      picture.removeAttribute("hidden");
      const draw = () => {
        const played = audio.duration ? (audio.currentTime / audio.duration) * peaks.length : 0;
        [...picture.children].forEach((bar, place) => bar.classList.toggle("played", place < played));
      };
      audio.addEventListener("timeupdate", draw);
      audio.addEventListener("seeked", draw);
      picture.addEventListener("click", (event) => {
        const box = picture.getBoundingClientRect();
        if (audio.duration) audio.currentTime = ((event.clientX - box.left) / box.width) * audio.duration;
        audio.play();
      });
    }).catch(() => {});
  }
})();
