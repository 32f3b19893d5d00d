// One row for each track of the last minute. Rows are buttons: the way to follow an instance without a mouse.

import { setText } from "./format.js";

const PRESENT_MS = 1500; // a slow camera shows nothing new for as long

/** Events: `follow` (detail: a track id). */
export class Timeline extends EventTarget {
  #rows;
  #number;
  #elements = new Map();
  #followed = null;

  constructor(section) {
    super();
    this.#rows = section.querySelector(".rows");
    this.#number = section.querySelector(".number");
  }

  /** Shows tracks over a time span of the server's clock, ms: those in the image first, the newest of them on top. */
  show(tracks, from, to) {
    const isPresent = ({ spans }) => to - spans.at(-1)[1] < PRESENT_MS;
    const present = tracks.filter(isPresent).length;
    setText(this.#number, tracks.length ? `${present} in the image, ${tracks.length - present} gone` : "none");
    const wanted = new Set(tracks.map(({ id }) => id));
    for (const [id, element] of this.#elements) {
      if (wanted.has(id)) continue;
      element.remove();
      this.#elements.delete(id);
    }
    const order = [...tracks].sort((one, two) => isPresent(two) - isPresent(one) || two.id - one.id);
    order.forEach((track, place) => {
      const element = this.#elements.get(track.id) ?? this.#make(track);
      element.classList.toggle("gone", !isPresent(track));
      this.#update(element, track, from, to);
      if (this.#rows.children[place] !== element) this.#put(element, place);
    });
  }

  /** Moves a row to its place; the keyboard stays where it is. */
  #put(element, place) {
    const hadFocus = element === document.activeElement;
    this.#rows.insertBefore(element, this.#rows.children[place] ?? null);
    if (hadFocus) element.focus({ preventScroll: true });
  }

  follow(id) {
    this.#followed = id;
    for (const [track, element] of this.#elements) element.setAttribute("aria-pressed", String(track === id));
  }

  #make({ id, colour }) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = "track";
    element.dataset.track = id;
    element.setAttribute("aria-pressed", String(id === this.#followed));
    const name = document.createElement("span");
    name.className = "name";
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.style.color = colour;
    element.append(name, bar);
    element.addEventListener("click", () => {
      this.dispatchEvent(new CustomEvent("follow", { detail: id === this.#followed ? null : id }));
    });
    this.#elements.set(id, element);
    return element;
  }

  #update(element, { id, label, spans }, from, to) {
    const [name, bar] = element.children;
    setText(name, `${label} ${id}`);
    while (bar.children.length > spans.length) bar.lastElementChild.remove();
    while (bar.children.length < spans.length) bar.append(document.createElement("i"));
    const share = (at) => Math.min(Math.max((at - from) / (to - from), 0), 1) * 100;
    spans.forEach(([first, last], index) => {
      const { style } = bar.children[index];
      style.left = `${share(first)}%`;
      style.width = `${share(last) - share(first)}%`;
    });
  }
}
