// Pause, and looking back through the last minute.
//
// While paused, the minute on the slider stands still: it ends at the moment of the pause. The server removes images
// older than a minute, so a long pause loses them from the left; what is left is drawn under the slider.

import { readImage } from "./connection.js";
import { setText } from "./format.js";

const INDEX_MS = 1000;

/** Events: `pause` (detail: whether), `move` (to another moment), `image` (detail: an image to draw). */
export class Transport extends EventTarget {
  seconds = 60;
  #clock;
  #parts;
  #end = null; // the server's clock at the moment of the pause, null while live
  #index = {};
  #shown = new Map();
  #wanted = new Map();
  #loading = new Set();

  constructor(clock) {
    super();
    this.#clock = clock;
    const byId = (id) => document.getElementById(id);
    this.#parts = { pause: byId("pause"), scrub: byId("scrub"), kept: byId("kept"), moment: byId("moment"), live: byId("live") };
    this.#parts.pause.addEventListener("click", () => (this.isPaused ? this.goLive() : this.pause()));
    this.#parts.live.addEventListener("click", () => this.goLive());
    this.#parts.scrub.addEventListener("input", () => this.#scrub());
    setInterval(() => this.isPaused && this.#refresh(), INDEX_MS);
  }

  get isPaused() {
    return this.#end !== null;
  }

  /** What the time line shows, on the server's clock. */
  window() {
    const to = this.#end ?? this.#clock.at() ?? 0;
    return { from: to - this.seconds * 1000, to };
  }

  /** The moment that is shown, as a share of the window. */
  get playhead() {
    return 1 + Number(this.#parts.scrub.value) / this.seconds;
  }

  /** A new server has a new clock, and none of the old images. */
  restart(seconds) {
    this.seconds = seconds;
    this.#parts.scrub.min = -seconds;
    if (this.isPaused) this.goLive();
  }

  async pause() {
    const at = this.#clock.at();
    if (this.isPaused || at === null) return;
    this.#end = at;
    this.#show();
    this.dispatchEvent(new CustomEvent("pause", { detail: true }));
    await this.#refresh();
  }

  goLive() {
    if (!this.isPaused) return;
    this.#end = null;
    this.#shown.clear();
    this.#wanted.clear();
    this.#parts.scrub.value = 0;
    this.#show();
    this.dispatchEvent(new CustomEvent("pause", { detail: false }));
  }

  async #scrub() {
    if (!this.isPaused) {
      const value = this.#parts.scrub.value; // pausing asks the server, and people drag on meanwhile
      await this.pause();
      if (this.#parts.scrub.value === "0") this.#parts.scrub.value = value;
    }
    if (!this.isPaused) return;
    this.#show();
    const at = this.#end + Number(this.#parts.scrub.value) * 1000;
    for (const [camera, kept] of Object.entries(this.#index)) {
      const before = kept.filter(([, when]) => when <= at).at(-1) ?? kept[0];
      if (before) this.#want(camera, before[0]);
    }
  }

  /** Loads the newest requested image of a camera; those requested while one loads are skipped. */
  async #want(camera, key) {
    this.#wanted.set(camera, key);
    if (this.#loading.has(camera)) return;
    this.#loading.add(camera);
    try {
      while (this.isPaused && this.#wanted.has(camera) && this.#shown.get(camera) !== this.#wanted.get(camera)) {
        const wanted = this.#wanted.get(camera);
        this.#shown.set(camera, wanted);
        const answer = await fetch(`api/history/${wanted}`);
        if (answer.ok && this.isPaused) {
          this.dispatchEvent(new CustomEvent("image", { detail: readImage(await answer.arrayBuffer()) }));
        }
      }
    } catch {
      this.#shown.delete(camera); // the connection is lost, which the page says elsewhere
    } finally {
      this.#loading.delete(camera);
    }
  }

  async #refresh() {
    try {
      const answer = await fetch("api/history");
      if (!answer.ok || !this.isPaused) return;
      this.#index = (await answer.json()).cameras;
    } catch {
      return;
    }
    const times = Object.values(this.#index).flatMap((kept) => (kept.length ? [kept[0][1]] : []));
    const share = times.length ? 1 - (this.#end - Math.min(...times)) / (this.seconds * 1000) : 1;
    this.#parts.kept.style.left = `${Math.min(Math.max(share, 0), 1) * 100}%`;
  }

  #show() {
    const { pause, scrub, moment, live } = this.#parts;
    const back = -Number(scrub.value);
    setText(pause.querySelector("span"), this.isPaused ? "Go on" : "Pause");
    live.disabled = !this.isPaused;
    setText(moment, this.isPaused ? (back === 0 ? "paused" : `−${back.toFixed(1)} s`) : "live");
    scrub.setAttribute("aria-valuetext", this.isPaused ? `${back.toFixed(1)} seconds before the pause` : "live");
    document.body.classList.toggle("paused", this.isPaused);
    this.dispatchEvent(new CustomEvent("move"));
  }
}
