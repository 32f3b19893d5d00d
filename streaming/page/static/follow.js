// The instance that is followed: a zoomed crop of it, until it is gone.

import { duration, setText } from "./format.js";

const GONE_MS = 1500;
const CLOSE_MS = 8000;
const MARGIN = 0.25;
const LEAST_CROP = 48; // pixels; smaller crops are blurs

/** Events: `change` (detail: {camera, id}, or null).
 *
 * A target may say `about` itself; otherwise the panel says for how long it has been followed.
 */
export class Follow extends EventTarget {
  #panel;
  #context;
  #target = null;
  #began = 0;
  #seen = 0;
  #wasSeen = false;

  constructor(panel) {
    super();
    this.#panel = panel;
    this.#context = panel.querySelector("canvas").getContext("2d", { alpha: false });
    panel.querySelector(".close").addEventListener("click", () => this.set(null));
  }

  get target() {
    return this.#target;
  }

  /** Follows an instance of a camera, or none. */
  set(target) {
    this.#target = target;
    this.#panel.hidden = target === null;
    if (target !== null) {
      this.#began = this.#seen = performance.now();
      this.#wasSeen = false;
      this.#panel.dataset.seen = "false";
      const { canvas } = this.#context;
      this.#context.fillRect(0, 0, canvas.width, canvas.height);
      this.#tell("not in the image", true);
      this.#announce(`Following ${target.label} ${target.id} of ${target.camera}`);
      setText(this.#panel.querySelector("h2"), `${target.label} ${target.id}`);
      setText(this.#panel.querySelector(".where"), target.camera);
    }
    this.dispatchEvent(new CustomEvent("change", { detail: target }));
  }

  /** Takes the crop out of an image that was just drawn. */
  see(camera, isPaused) {
    if (this.#target === null || camera.name !== this.#target.camera) return;
    const instance = camera.image.instances.find(({ id }) => id === this.#target.id);
    if (instance === undefined) {
      if (isPaused) this.#tell(["not in this image", this.#target.about].filter(Boolean).join(" · "), true);
      return;
    }
    this.#seen = performance.now();
    this.#wasSeen = true;
    this.#panel.dataset.seen = "true";
    this.#crop(camera.context.canvas, instance.box);
    const about = this.#target.about ?? `followed for ${duration((this.#seen - this.#began) / 1000)}`;
    this.#tell(`score ${instance.score.toFixed(2)} · ${about}`, false);
  }

  /** Reports when the instance is gone; while the page is paused, nothing is. */
  tick(isPaused) {
    if (this.#target === null) return;
    const unseen = performance.now() - this.#seen;
    if (isPaused) this.#seen = Math.max(this.#seen, performance.now() - GONE_MS);
    else if (unseen > CLOSE_MS) this.set(null);
    else if (unseen > GONE_MS && this.#wasSeen) {
      this.#tell(`gone for ${duration(unseen / 1000)}: last seen like this`, true);
      this.#announce(`${this.#target.label} ${this.#target.id} is gone`);
    }
  }

  /** Announces a text to screen readers, once. */
  #announce(text) {
    setText(document.getElementById("said"), text);
  }

  #tell(text, isGone) {
    setText(this.#panel.querySelector(".seen"), text);
    this.#panel.dataset.gone = String(isGone);
  }

  #crop(source, [left, top, right, bottom]) {
    const { canvas } = this.#context;
    const shape = canvas.width / canvas.height;
    let width = Math.max((right - left) * (1 + 2 * MARGIN), LEAST_CROP);
    let height = Math.max((bottom - top) * (1 + 2 * MARGIN), LEAST_CROP);
    if (width < height * shape) width = height * shape;
    else height = width / shape;
    const x = (left + right - width) / 2;
    const y = (top + bottom - height) / 2;
    this.#context.fillRect(0, 0, canvas.width, canvas.height); // what lies outside of the image is black
    this.#context.drawImage(source, x, y, width, height, 0, 0, canvas.width, canvas.height);
  }
}
