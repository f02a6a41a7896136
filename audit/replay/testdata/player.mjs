// Plays an asciicast in asciinema-player's own engine and terminal, and prints what it understood as JSON.
//
//   node player.mjs DIR/node_modules/asciinema-player FILE.cast
//
// The engine (Core: parser, clock, events) and the terminal (Vt: WebAssembly) are the ones of the published package;
// only the drawing on a web page is left out. The terminal is made tall enough that nothing scrolls away.

import { readFileSync, readdirSync, rmSync, writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [root, file] = process.argv.slice(2);
const from = join(root, "dist");
const dist = mkdtempSync(join(tmpdir(), "player-"));
for (const name of readdirSync(from).filter((n) => n.endsWith(".js"))) {
  let text = readFileSync(join(from, name), "utf8");
  if (name.startsWith("opts-")) text += "\nexport { Vt };\n"; // the terminal is not exported by itself
  writeFileSync(join(dist, name), text);
}
writeFileSync(join(dist, "package.json"), '{"type":"module"}');
globalThis.document = { addEventListener() {}, createElement: () => ({}) };
globalThis.window = { document };

const find = (prefix) => import(pathToFileURL(join(dist, readdirSync(dist).find((n) => n.startsWith(prefix)))));
const { C: Core } = await find("core-");
const { Vt, c: coreOpts } = await find("opts-");

const text = readFileSync(file, "utf8");
const quiet = { log() {}, debug() {}, info() {}, warn() {}, error: console.error };
const core = new Core({ data: () => text }, coreOpts({ speed: 100000, preload: true }, { logger: quiet }));
const played = { markers: [], output: "" };
core.addEventListener("reset", ({ size }) => Object.assign(played, size));
core.addEventListener("metadata", ({ duration }) => (played.duration = duration));
core.addEventListener("output", (data) => (played.output += [data].flat().join("")));
core.addEventListener("marker", (m) => played.markers.push(m.label));
core.addEventListener("error", (e) => { console.error("the player failed:", e); process.exit(1); });
const ended = new Promise((resolve) => core.addEventListener("ended", resolve));
core.terminalReady();
await core.init();
await core.play();
await ended;

const rows = played.output.split("\n").length + 1;
const vt = await Vt.build(played.cols, rows, false, quiet);
vt.feed(played.output);
const screen = [];
for (let y = 0; y < rows; y++) screen.push(line(vt, y, played.cols));
while (screen.length > 0 && screen.at(-1) === "") screen.pop();
rmSync(dist, { recursive: true });
const said = JSON.stringify({ cols: played.cols, rows: played.rows, duration: played.duration, markers: played.markers, screen });
process.stdout.write(said + "\n", () => process.exit(0));

// line puts a row of the terminal together from what the page would draw: text, and box and block characters.
function line(vt, y, cols) {
  const row = vt.getLine(y, false);
  const cells = Array(cols).fill(" ");
  const codepoints = vt.getUint32Array(row.codepoints);
  const spans = vt.getDataView(row.text, 12);
  for (let i = 0; i < spans.byteLength; i += 12) {
    const [column, start, length] = [0, 2, 4].map((o) => spans.getUint16(i + o, true));
    for (let k = 0; k < length; k++) cells[column + k] = String.fromCodePoint(codepoints[start + k]);
  }
  for (const [symbols, size] of [[row.raster_symbols, 12], [row.vector_symbols, 16]]) {
    const view = vt.getDataView(symbols, size);
    for (let i = 0; i < view.byteLength; i += size) cells[view.getUint16(i, true)] = String.fromCodePoint(view.getUint32(i + 4, true));
  }
  return cells.join("").trimEnd();
}
