// Plays the replay of a session on its page, and moves it to the step that was chosen. Nothing plays, and the file is not asked for, before somebody wants it.
(() => {
  const box = document.querySelector("[data-replay-url]");
  if (!box || typeof AsciinemaPlayer === "undefined" || typeof WebAssembly === "undefined") return;
  const place = box.querySelector("[data-player]"), said = box.querySelector("[role=status]");
  const buttons = [...document.querySelectorAll("button[data-seq]")].sort((a, b) => a.dataset.seq - b.dataset.seq);
  const calm = matchMedia("(prefers-reduced-motion: reduce)"), dark = matchMedia("(prefers-color-scheme: dark)");
  let player, marks, file, at = 0;

  function load() {
    file ??= (async () => {
      said.textContent = "The replay is being made.";
      const answer = await fetch(box.dataset.replayUrl, {credentials: "same-origin"});
      if (!answer.ok || !answer.headers.get("Content-Type")?.startsWith("application/x-asciicast")) throw new Error(answer.ok ? "log in again" : "status " + answer.status);
      const text = await answer.text();
      marks = times(text);
      said.textContent = "";
      box.dataset.begun = "";
      return text;
    })().catch((e) => {
      said.textContent = "The replay cannot be shown (" + e.message + "). Load the page again to try once more.";
      throw e;
    });
    return file;
  }

  // times gives [number, seconds] of the steps that a file marks, in their order: a marker begins with the number of the step, and its line says how
  // long after the line before.
  function times(text) {
    const out = [];
    let ms = 0;
    for (const line of text.split("\n").slice(1)) {
      if (!line) continue;
      const [after, code, data] = JSON.parse(line);
      ms += Math.round(after * 1000);
      const number = code === "m" && /^#(\d+) /.exec(data);
      if (number) out.push([+number[1], ms / 1000]);
    }
    return out;
  }

  // begin makes a player, in the colours that are wanted now: it reads them once.
  function begin() {
    player?.dispose();
    player = AsciinemaPlayer.create({data: load}, place, {autoPlay: false, preload: false, fit: "width", controls: true, cursorMode: "hidden", theme: "sallyport", keystrokeOverlay: false, pauseOnMarkers: calm.matches});
    player.addEventListener("marker", (m) => show(/^#(\d+) /.exec(m.label)?.[1]));
    const screen = place.querySelector(".ap-term-text");
    screen.setAttribute("role", "region");
    screen.setAttribute("aria-label", "Screen of the replay");
    if (marks) player.seek(at).catch(() => {});
  }

  // show marks the step that the replay has come to: of a result in parts the file may know the number of a part.
  function show(number) {
    const now = buttons.find((b) => +b.dataset.seq >= +number);
    for (const b of buttons) {
      if (b === now) b.closest("li").setAttribute("aria-current", "step");
      else b.closest("li").removeAttribute("aria-current");
    }
  }

  async function seek(number) {
    try {
      await load();
      await player.pause();
      const mark = marks.findLast((m) => m[0] <= number) ?? marks[0];
      if (!mark) {
        said.textContent = "The replay does not have this step.";
        return;
      }
      at = mark[1];
      await player.seek(at);
      show(number);
      said.textContent = "The replay is at #" + mark[0] + ".";
      box.scrollIntoView({block: "nearest"});
    } catch {
      said.textContent ||= "The replay cannot be shown.";
    }
  }

  box.hidden = false;
  begin();
  for (const b of buttons) {
    b.hidden = false;
    b.addEventListener("click", () => seek(+b.dataset.seq));
  }
  const again = () => {
    if (marks) at = player.getCurrentTime() || 0;
    begin();
  };
  dark.addEventListener("change", again);
  calm.addEventListener("change", again);
})();
