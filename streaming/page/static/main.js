// Puts the parts of the page together.

import { Camera } from "./camera.js";
import { Connection } from "./connection.js";
import { Follow } from "./follow.js";
import { duration, setText } from "./format.js";
import { Transport } from "./transport.js";

const TICK_MS = 100;

const byId = (id) => document.getElementById(id);
const cameras = new Map();
const connection = new Connection();
const transport = new Transport(connection.clock);
const follow = new Follow(byId("follow"));
let server = null;
let isUp = false;
let status = null;

function cameraNamed(name) {
  if (!cameras.has(name)) {
    const camera = new Camera(name, byId("camera-template"));
    cameras.set(name, camera);
    byId("cameras").append(camera.element);
    byId("cameras").dataset.number = Math.min(cameras.size, 4);
    byId("waiting").hidden = true;
    camera.addEventListener("follow", ({ detail: id }) => follow.set(id === null ? null : { camera: name, id, label: labelOf(name, id) }));
  }
  return cameras.get(name);
}

function labelOf(camera, id) {
  const known = [...(cameras.get(camera).image?.instances ?? []), ...(status?.tracks[camera] ?? [])];
  return known.find((one) => one.id === id)?.label ?? "track";
}

async function draw(image) {
  const camera = cameraNamed(image.camera);
  const isDrawn = await camera.draw(image, connection.clock);
  if (isDrawn) follow.see(camera, transport.isPaused);
  return isDrawn;
}

function networkInput({ input_size: size, input_size_changes: changes }) {
  return changes ? `${size} (changed ${changes === 1 ? "once" : `${changes} times`})` : size;
}

function showRun() {
  const report = status?.report;
  const live = report?.cameras.filter(({ state }) => state === "live").length ?? 0;
  const all = report?.cameras.length ?? 0;
  let [text, kind] = ["starting", "wait"];
  if (!isUp) [text, kind] = ["not connected", "bad"];
  else if (status?.report_late) [text, kind] = [report ? "not reporting" : "starting", report ? "bad" : "wait"];
  else if (report) [text, kind] = [`${live} of ${all} live`, live === all && all > 0 ? "good" : "bad"];
  setText(byId("run-state"), text);
  byId("run-state").dataset.kind = kind;
  document.body.classList.toggle("stale", !isUp || Boolean(report && status.report_late));
  document.title = isUp ? "roadmask live" : "● roadmask live";
  if (isUp && report && status.report_late) {
    banner(`The run has not reported for ${duration(status.report_age_s)}: what you see may be old.`);
  } else if (isUp) banner("");
  const facts = report
    ? [
        ["running", duration(report.uptime_s)],
        [report.storing ? "storing" : "not storing", report.store_detail || (report.storing ? "yes" : "no store requested")],
        ...(report.budget_ms === null ? [] : [["budget", `${Math.round(report.budget_ms)} ms`]]),
        ...(report.input_size === null ? [] : [["network input", networkInput(report)]]),
      ]
    : [];
  const list = byId("run-facts");
  while (list.children.length > facts.length) list.lastElementChild.remove();
  while (list.children.length < facts.length) {
    const pair = document.createElement("div");
    pair.append(document.createElement("dt"), document.createElement("dd"));
    list.append(pair);
  }
  facts.forEach(([name, value], index) => {
    setText(list.children[index].firstElementChild, name);
    setText(list.children[index].lastElementChild, value);
  });
}

function banner(text) {
  byId("banner").hidden = text === "";
  setText(byId("banner"), text);
}

function showTracks() {
  if (status === null) return;
  const { from, to } = transport.window();
  for (const [name, camera] of cameras) camera.showTracks(status.tracks[name] ?? [], from, to);
  byId("cameras").style.setProperty("--playhead", transport.playhead);
}

connection.addEventListener("up", ({ detail }) => {
  isUp = true;
  if (server !== null && server !== detail.server) {
    // another run, with a clock, tracks and perhaps cameras of its own
    follow.set(null);
    for (const camera of cameras.values()) camera.element.remove();
    cameras.clear();
    byId("waiting").hidden = false;
    status = null;
    transport.restart(detail.seconds);
  } else transport.seconds = detail.seconds;
  server = detail.server;
  showRun();
});
connection.addEventListener("down", ({ detail }) => {
  isUp = false;
  showRun();
  banner(detail);
});
connection.addEventListener("status", ({ detail }) => {
  const isPaused = transport.isPaused;
  // while paused the time line stands still with the images
  status = isPaused && status !== null ? { ...detail, tracks: status.tracks } : detail;
  for (const report of detail.report?.cameras ?? []) cameraNamed(report.camera).showReport(report, detail.report_late);
  showRun();
  showTracks();
});
connection.addEventListener("image", async ({ detail: image }) => {
  let isDrawn = false;
  try {
    isDrawn = !transport.isPaused && (await draw(image));
  } finally {
    connection.done(image, isDrawn); // whatever happened: the next one may come
  }
});

transport.addEventListener("image", ({ detail }) => draw(detail));
transport.addEventListener("move", showTracks);
transport.addEventListener("pause", ({ detail: isPaused }) => {
  for (const camera of cameras.values()) camera.hold();
  connection.watch(!isPaused && !document.hidden);
});
document.addEventListener("visibilitychange", () => connection.watch(!document.hidden && !transport.isPaused));

follow.addEventListener("change", ({ detail: target }) => {
  for (const [name, camera] of cameras) camera.follow(target?.camera === name ? target.id : null);
  if (target !== null && cameras.get(target.camera).image) follow.see(cameras.get(target.camera), transport.isPaused);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isOnButton = event.target instanceof HTMLButtonElement || event.target.tagName === "SUMMARY";
  if (event.key === "Escape") follow.set(null);
  else if (event.key === "l" || event.key === "L") transport.goLive();
  else if (event.key === " " && !isOnButton) {
    event.preventDefault(); // instead of scrolling
    if (transport.isPaused) transport.goLive();
    else transport.pause();
  }
});

setInterval(() => {
  for (const camera of cameras.values()) camera.showAges(connection.clock);
  follow.tick(transport.isPaused);
}, TICK_MS);
