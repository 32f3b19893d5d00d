// Which tracks are shown: by class, and by how long they were seen.

import { count, setText, several } from "./format.js";

const LENGTH_MAX_S = 30;

/** Events: `change`. */
export class Filter extends EventTarget {
  #labels = null; // null: all
  #seconds = 0;
  #tracks;
  #chips = new Map();
  #parts;

  constructor(section, tracks) {
    super();
    this.#tracks = tracks;
    const part = (selector) => section.querySelector(selector);
    this.#parts = { length: part("#length"), output: part("output"), chosen: part(".chosen"), reset: part(".reset") };
    const numbers = new Map();
    for (const { label } of tracks) numbers.set(label, (numbers.get(label) ?? 0) + 1);
    for (const [label, number] of [...numbers].sort((one, two) => two[1] - one[1])) {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.dataset.label = label;
      chip.textContent = `${count(number)} ${several(number, label)}`;
      chip.addEventListener("click", () => this.#toggle(label));
      part(".classes").append(chip);
      this.#chips.set(label, chip);
    }
    const { length, reset } = this.#parts;
    length.max = Math.min(Math.max(Math.ceil(Math.max(0, ...tracks.map(({ seconds }) => seconds))), 1), LENGTH_MAX_S);
    length.addEventListener("input", () => this.set({ labels: this.#labels, seconds: Number(length.value) }));
    reset.addEventListener("click", () => this.set({ labels: null, seconds: 0 }));
    this.#show();
  }

  get labels() {
    return this.#labels;
  }

  get seconds() {
    return this.#seconds;
  }

  passes({ label, seconds }) {
    return (this.#labels === null || this.#labels.has(label)) && seconds >= this.#seconds;
  }

  /** What the server needs to know to draw only these tracks. */
  query() {
    const query = new URLSearchParams();
    if (this.#labels !== null) query.set("classes", [...this.#labels].sort().join(","));
    if (this.#seconds > 0) query.set("seconds", this.#seconds);
    return query.size ? `?${query}` : "";
  }

  set({ labels, seconds }) {
    const known = labels === null ? null : new Set([...labels].filter((label) => this.#chips.has(label)));
    const before = this.query();
    this.#labels = known === null || known.size === this.#chips.size ? null : known;
    this.#seconds = Math.max(seconds, 0);
    this.#show();
    if (this.query() !== before) this.dispatchEvent(new CustomEvent("change"));
  }

  /** The first click on a class shows it alone; further ones add and remove classes. */
  #toggle(label) {
    const labels = new Set(this.#labels ?? []);
    if (!labels.delete(label)) labels.add(label);
    this.set({ labels: labels.size ? labels : null, seconds: this.#seconds });
  }

  #show() {
    const { length, output, chosen, reset } = this.#parts;
    for (const [label, chip] of this.#chips) chip.setAttribute("aria-pressed", String(this.#labels?.has(label) ?? false));
    length.value = this.#seconds;
    setText(output, `${this.#seconds} s`);
    const all = this.#tracks.length;
    const number = this.#tracks.filter((track) => this.passes(track)).length;
    setText(chosen, number === all ? `${count(all)} tracks` : `${count(number)} of ${count(all)} tracks`);
    reset.hidden = this.#labels === null && this.#seconds === 0;
  }
}
