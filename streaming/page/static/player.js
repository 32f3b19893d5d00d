// Time on the page of a recorded store: playing, stepping, scrubbing, and loading the frames of a moment.

import { readImage } from "./connection.js";
import { mediaTime, setText } from "./format.js";

/** Events: `image` (detail: an image to draw), `failed` (detail: {camera, text}), `move`, `play` (detail: whether). */
export class Player extends EventTarget {
  at = 0;
  isPlaying = false;
  /** The camera whose frames are stepped through. */
  camera;
  #cameras;
  #parts;
  #query = () => "";
  #shown = new Map();
  #wanted = new Map();
  #loading = new Set();
  #ticked = 0;

  constructor(cameras, query) {
    super();
    this.#cameras = cameras;
    this.#query = query;
    [this.camera] = Object.keys(cameras);
    const all = Object.values(cameras);
    this.from = Math.min(...all.map(({ at }) => at[0]));
    this.to = Math.max(...all.map(({ at }) => at.at(-1)));
    const byId = (id) => document.getElementById(id);
    const [play, scrub, moment, speed] = ["pause", "scrub", "moment", "speed"].map(byId);
    this.#parts = { play, scrub, moment, speed };
    Object.assign(scrub, { min: this.from, max: this.to, step: 1 });
    scrub.setAttribute("aria-label", "Time in the drive");
    play.title = "Play or pause (space)";
    play.addEventListener("click", () => this.toggle());
    scrub.addEventListener("input", () => this.seek(Number(scrub.value)));
    byId("back").addEventListener("click", () => this.step(-1));
    byId("forth").addEventListener("click", () => this.step(1));
    this.#show();
  }

  /** The position of the last frame of a camera at a moment, or its first one. */
  positionAt(camera, at = this.at) {
    const times = this.#cameras[camera].at;
    let [low, high] = [0, times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= at) low = middle + 1;
      else high = middle;
    }
    return Math.max(low - 1, 0);
  }

  /** Goes to a moment, ms since the drive began. */
  seek(at) {
    this.at = Math.min(Math.max(at, this.from), this.to);
    for (const name of Object.keys(this.#cameras)) this.#want(name);
    this.#show();
    this.dispatchEvent(new CustomEvent("move"));
  }

  /** Goes some frames of the current camera forth or back. */
  step(frames) {
    this.pause();
    const times = this.#cameras[this.camera].at;
    const position = this.positionAt(this.camera) + frames;
    this.seek(times[Math.min(Math.max(position, 0), times.length - 1)]);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    if (this.isPlaying) return;
    if (this.at >= this.to) this.seek(this.from);
    this.isPlaying = true;
    this.#ticked = performance.now();
    requestAnimationFrame(() => this.#tick());
    this.#show();
    this.dispatchEvent(new CustomEvent("play", { detail: true }));
  }

  pause() {
    if (!this.isPlaying) return;
    this.isPlaying = false;
    this.#show();
    this.dispatchEvent(new CustomEvent("play", { detail: false }));
  }

  /** Loads the frames of this moment once more: the filter or the images have changed. */
  reload() {
    this.#shown.clear();
    this.seek(this.at);
  }

  #tick() {
    if (!this.isPlaying) return;
    const now = performance.now();
    this.seek(this.at + (now - this.#ticked) * Number(this.#parts.speed.value));
    this.#ticked = now;
    if (this.at >= this.to) this.pause();
    else requestAnimationFrame(() => this.#tick());
  }

  /** Loads the newest requested frame of a camera; those requested while one loads are skipped. */
  async #want(name) {
    const key = this.#cameras[name].first_key + this.positionAt(name);
    this.#wanted.set(name, key);
    if (this.#loading.has(name)) return;
    this.#loading.add(name);
    try {
      while (this.#shown.get(name) !== this.#wanted.get(name)) {
        const wanted = this.#wanted.get(name);
        this.#shown.set(name, wanted);
        const answer = await fetch(`api/history/${wanted}${this.#query()}`);
        if (answer.ok) {
          const image = readImage(await answer.arrayBuffer());
          await new Promise((drawn) => this.dispatchEvent(new CustomEvent("image", { detail: { image, drawn } })));
        } else {
          const text = await answer.text();
          this.dispatchEvent(new CustomEvent("failed", { detail: { camera: name, text } }));
        }
      }
    } catch {
      this.#shown.delete(name); // the connection is lost, which the page says elsewhere
    } finally {
      this.#loading.delete(name);
    }
  }

  #show() {
    const { play, scrub, moment } = this.#parts;
    setText(play.querySelector("span"), this.isPlaying ? "Pause" : "Play");
    document.body.classList.toggle("paused", !this.isPlaying);
    scrub.value = this.at;
    setText(moment, mediaTime(this.at));
    scrub.setAttribute("aria-valuetext", `${mediaTime(this.at)} of ${mediaTime(this.to)}`);
  }
}
