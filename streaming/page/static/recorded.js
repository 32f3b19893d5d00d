// Puts the parts of the page together for a recorded store.

import { readAddress, writeAddress } from "./address.js";
import { Camera } from "./camera.js";
import { Connection } from "./connection.js";
import { Filter } from "./filter.js";
import { Follow } from "./follow.js";
import { count, duration, mediaTime, setText } from "./format.js";
import { Player } from "./player.js";

const ADDRESS_MS = 400; // browsers refuse more than a hundred changes of the address in 10 s
const TIMELINE = {
  isPresent: ({ spans }, at) => spans.some(([first, last]) => first <= at && at < last),
  sorted: (tracks) => tracks, // by first appearance
  words: (present, all) => (all ? `${present} in this frame, ${count(all)} on the time line` : "none"),
  keepsInView: true,
};
const SPANS = [["whole drive", Infinity], ["10 min", 600_000], ["1 min", 60_000], ["10 s", 10_000]];
const SPAN_MAX_MS = 120_000; // a longer drive is shown a minute at a time

const byId = (id) => document.getElementById(id);
const connection = new Connection("roadmask view");
const follow = new Follow(byId("follow"));
const cameras = new Map();
let server = null;

connection.addEventListener("up", ({ detail }) => {
  if (server !== null && server !== detail.server) location.reload(); // another store, or another part of this one
  server = detail.server;
  banner("");
});
connection.addEventListener("down", ({ detail }) => banner(detail));

function banner(text) {
  byId("banner").hidden = text === "";
  setText(byId("banner"), text);
}

function showFacts({ name, engine, cameras: fields }) {
  const all = Object.values(fields);
  const length = (Math.max(...all.map(({ at }) => at.at(-1))) - Math.min(...all.map(({ at }) => at[0]))) / 1000;
  const isComplete = all.every(({ complete }) => complete);
  setText(byId("drive-name"), name);
  document.title = `${name} - roadmask`;
  setText(byId("run-state"), isComplete ? "recorded" : "not finished");
  byId("run-state").dataset.kind = isComplete ? "good" : "wait";
  if (!isComplete) byId("run-state").title = "Being written, or interrupted: this is what was committed.";
  const facts = [
    ["length", length < 60 ? `${length.toFixed(1)} s` : duration(length)],
    ["frames", count(all.reduce((total, { at }) => total + at.length, 0))],
    ...(engine.weights ? [["model", [engine.weights, engine.precision].filter(Boolean).join(" ")]] : []),
  ];
  for (const [fact, value] of facts) {
    const pair = document.createElement("div");
    pair.append(document.createElement("dt"), document.createElement("dd"));
    setText(pair.firstElementChild, fact);
    setText(pair.lastElementChild, value);
    byId("run-facts").append(pair);
  }
}

function axisTime(at, span) {
  return mediaTime(at).replace(span < 20_000 ? /\d$/ : /\.\d\d$/, "");
}

async function open() {
  const answer = await fetch("api/drive");
  if (!answer.ok) {
    setText(byId("waiting"), await answer.text());
    return;
  }
  const drive = await answer.json();
  byId("waiting").hidden = true;
  showFacts(drive);
  run(drive.cameras);
}

function run(fields) {
  const names = Object.keys(fields);
  for (const { tracks } of Object.values(fields)) {
    tracks.sort((one, two) => one.spans[0][0] - two.spans[0][0] || one.id - two.id);
  }
  const filter = new Filter(byId("filter"), names.flatMap((name) => fields[name].tracks));
  const player = new Player(fields, () => filter.query());
  const span = byId("span");
  let shown = {};
  let shownAt = 0;
  let sources = {};

  for (const name of names) {
    const camera = new Camera(name, byId("camera-template"), TIMELINE);
    cameras.set(name, camera);
    byId("cameras").append(camera.element);
    byId("cameras").dataset.number = Math.min(cameras.size, 4);
    camera.element.dataset.state = "live"; // in full colours
    camera.showLosses({ ...fields[name].ledger, watched: 0, in_flight: 0, limit_fps: null, limit_changes: 0, reconnects: 0, ages: {} });
    camera.addEventListener("follow", ({ detail: id }) => followTrack(name, id));
    camera.timeline.addEventListener("seek", ({ detail }) => seekTrack(name, detail));
    camera.element.addEventListener("pointerdown", () => (player.camera = name));
  }
  for (const [word, ms] of SPANS) {
    if (ms !== Infinity && ms >= player.to - player.from) continue;
    const option = new Option(word, ms);
    option.selected = ms === (player.to - player.from > SPAN_MAX_MS ? 60_000 : Infinity);
    span.append(option);
  }
  span.closest("label").hidden = span.options.length < 2;
  filterTracks();

  function trackOf(name, id) {
    return fields[name].tracks.find((track) => track.id === id);
  }

  function followTrack(name, id) {
    const track = id === null ? undefined : trackOf(name, id);
    if (track === undefined) follow.set(null);
    else {
      player.camera = name;
      const [first, last] = [track.spans[0][0], track.spans.at(-1)[1]];
      const about = `${mediaTime(first)} to ${mediaTime(last)}, ${track.frames} ${track.frames === 1 ? "frame" : "frames"}`;
      follow.set({ camera: name, id, label: track.label, about, first, last: last - fields[name].step });
    }
  }

  /** Goes to where a row was clicked; the keyboard goes to the track's first frame, unless it is in this one. */
  function seekTrack(name, { id, at }) {
    player.camera = name;
    if (at !== null) player.seek(at);
    else if (!TIMELINE.isPresent(trackOf(name, id), player.at)) player.seek(trackOf(name, id).spans[0][0]);
  }

  /** The span of time that the rows show: all of it, or a part around this moment, which moves with it. */
  function timeSpan() {
    const ms = Number(span.value);
    const [begin, end] = [player.from, player.to + fields[names[0]].step];
    if (ms >= end - begin) return [begin, end];
    const from = Math.min(Math.max(player.at - ms / 2, begin), end - ms);
    return [Math.floor(from / 100) * 100, Math.floor(from / 100) * 100 + ms];
  }

  function filterTracks() {
    shown = Object.fromEntries(names.map((name) => [name, fields[name].tracks.filter((track) => filter.passes(track))]));
  }

  let visible = {};
  function showTracks() {
    const [from, to] = timeSpan();
    if (visible.from !== from || visible.to !== to || visible.shown !== shown) {
      const overlaps = ({ spans }) => spans[0][0] <= to && spans.at(-1)[1] >= from;
      visible = { from, to, shown, tracks: Object.fromEntries(names.map((name) => [name, shown[name].filter(overlaps)])) };
    }
    byId("cameras").style.setProperty("--playhead", (player.at - from) / (to - from));
    for (const [name, camera] of cameras) {
      camera.showTracks(visible.tracks[name], from, to, player.at);
      const labels = camera.element.querySelectorAll(".axis.for-recorded span");
      [from, (from + to) / 2, to].forEach((at, index) => setText(labels[index], axisTime(at, to - from)));
    }
  }

  function showFrame({ camera: name, key, frame_index: frame, epoch, instances, at, wall }) {
    const { first_key: first, at: times, epochs } = fields[name];
    const figure = (selector, text) => setText(cameras.get(name).element.querySelector(selector), text);
    const [height, width] = epochs.find((one) => one.epoch === epoch).size;
    figure(".frame-time", mediaTime(at));
    figure(".frame-index", count(frame));
    figure(".frame-position", `${count(key - first)} of ${count(times.length)}`);
    figure(".frame-tracks", count(instances.length));
    figure(".frame-epoch", epochs.length > 1 ? `${epoch} (of ${epochs.length})` : `${epoch}`);
    figure(".frame-size", `${width} × ${height}`);
    const line = cameras.get(name).element.querySelector(".wall");
    line.hidden = wall === null;
    if (wall !== null) setText(line, `captured ${new Date(wall).toISOString().replace("T", " ").replace("Z", " UTC")}`);
  }

  function frameIndex(name, position) {
    return fields[name].frame_index?.[position] ?? position;
  }

  function tellAddress() {
    shownAt = performance.now();
    const { camera } = player;
    const track = follow.target?.camera === camera ? follow.target.id : null;
    const frame = frameIndex(camera, player.positionAt(camera));
    writeAddress({ camera, frame, track, labels: filter.labels, seconds: filter.seconds });
  }

  /** Goes to the frame, the track and the filter of the address. */
  function goToAddress() {
    const { camera, frame, track, labels, seconds } = readAddress();
    if (names.includes(camera)) {
      player.camera = camera;
      const { element } = cameras.get(camera);
      if (element.getBoundingClientRect().top > innerHeight / 2) element.scrollIntoView({ block: "start" }); // a phone
    }
    filter.set({ labels, seconds });
    if (track !== null && trackOf(player.camera, track)) followTrack(player.camera, track);
    const { at, frame_index: indices } = fields[player.camera];
    if (frame !== null) {
      const position = indices === null ? frame : indices.findLastIndex((index) => index <= frame);
      player.seek(at[Math.min(Math.max(position, 0), at.length - 1)]);
    } else player.seek(follow.target?.first ?? player.from);
  }

  function showSources(states) {
    let isNew = false;
    for (const [name, { kind, detail }] of Object.entries(states)) {
      const { element } = cameras.get(name);
      const [state, line] = [element.querySelector(".state"), element.querySelector(".detail")];
      state.hidden = kind === "shown";
      setText(state, kind === "grey" ? "no images" : "looking for images");
      state.dataset.kind = "wait";
      line.hidden = kind === "shown";
      setText(line, detail);
      isNew ||= sources[name]?.kind !== undefined && sources[name].kind !== kind;
    }
    sources = states;
    if (isNew) player.reload();
  }

  player.addEventListener("image", async ({ detail: { image, drawn } }) => {
    const camera = cameras.get(image.camera);
    if (await camera.draw(image)) {
      if (!performance.getEntriesByName("first-frame").length) performance.mark("first-frame");
      showFrame(image);
      follow.see(camera, true);
    }
    drawn();
  });
  player.addEventListener("failed", ({ detail: { camera, text } }) => {
    const line = cameras.get(camera).element.querySelector(".detail");
    line.hidden = false;
    setText(line, text);
  });
  player.addEventListener("move", () => {
    showTracks();
    if (!player.isPlaying || performance.now() - shownAt > ADDRESS_MS) tellAddress();
  });
  player.addEventListener("play", ({ detail: isPlaying }) => isPlaying || tellAddress());
  span.addEventListener("change", showTracks);
  filter.addEventListener("change", () => {
    filterTracks();
    player.reload();
  });
  connection.addEventListener("status", ({ detail }) => showSources(detail.images));

  follow.addEventListener("change", ({ detail: target }) => {
    for (const [name, camera] of cameras) camera.follow(target?.camera === name ? target.id : null);
    if (target !== null && cameras.get(target.camera).image) follow.see(cameras.get(target.camera), true);
    tellAddress();
  });
  byId("follow").querySelector(".first").addEventListener("click", () => player.seek(follow.target.first));
  byId("follow").querySelector(".last").addEventListener("click", () => player.seek(follow.target.last));
  byId("link").addEventListener("click", copyLink);
  addEventListener("hashchange", goToAddress);

  async function copyLink() {
    tellAddress();
    let word = "Copied";
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      word = "Copy it above"; // browsers give the clipboard to secure addresses only
    }
    const text = byId("link").querySelector("span");
    setText(text, word);
    setText(byId("said"), `${word}: ${location.href}`);
    setTimeout(() => setText(text, "Copy link"), 2000);
  }

  const KEYS = {
    " ": () => player.toggle(),
    ArrowLeft: ({ shiftKey }) => (shiftKey ? player.seek(player.at - 1000) : player.step(-1)),
    ArrowRight: ({ shiftKey }) => (shiftKey ? player.seek(player.at + 1000) : player.step(1)),
    Home: () => player.seek(player.from),
    End: () => player.seek(player.to),
    Escape: () => follow.set(null),
    c: copyLink,
  };
  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || !(key in KEYS)) return;
    const isOnButton = target instanceof HTMLButtonElement || target.tagName === "SUMMARY";
    if (key === " " && isOnButton) return;
    if (target instanceof HTMLSelectElement || target.id === "length") return;
    event.preventDefault(); // instead of scrolling, or of moving the slider by a millisecond
    KEYS[key](event);
  });

  goToAddress();
}

open();
