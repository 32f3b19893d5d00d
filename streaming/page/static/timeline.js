// One row for each track of the last minute. Rows are buttons: the way to follow an instance without a mouse.

import { setText } from "./format.js";

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

  /** Shows tracks, the newest at the top, over a stretch of the server's clock, ms. */
  show(tracks, from, to) {
    setText(this.#number, tracks.length ? `(${tracks.length})` : "(none)");
    const wanted = new Set(tracks.map(({ id }) => id));
    for (const [id, element] of this.#elements) {
      if (wanted.has(id)) continue;
      element.remove();
      this.#elements.delete(id);
    }
    for (const track of tracks) {
      const element = this.#elements.get(track.id) ?? this.#add(track);
      this.#update(element, track, from, to);
    }
  }

  follow(id) {
    this.#followed = id;
    for (const [track, element] of this.#elements) element.setAttribute("aria-pressed", String(track === id));
  }

  #add({ id, colour }) {
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
    this.#rows.prepend(element);
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
