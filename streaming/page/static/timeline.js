// One row for each track over a span of time. Rows are buttons: the way to follow an instance without a mouse.

import { setText } from "./format.js";

const PRESENT_MS = 1500; // a slow camera shows nothing new for as long

/** How the page of a live run shows tracks: those in the image first, the newest of them on top. */
const LIVE = {
  isPresent: ({ spans }, at) => at - spans.at(-1)[1] < PRESENT_MS,
  sorted: (tracks, isPresent) => [...tracks].sort((one, two) => isPresent(two) - isPresent(one) || two.id - one.id),
  words: (present, all) => (all ? `${present} in the image, ${all - present} gone` : "none"),
  keepsInView: false,
};

/** Events: `follow` (detail: a track id, or null), `seek` (detail: {id, at}; at is null for the keyboard). */
export class Timeline extends EventTarget {
  #rows;
  #number;
  #options;
  #elements = new Map();
  #present = new Set();
  #drawn = {};
  #followed = null;

  constructor(section, options = {}) {
    super();
    this.#rows = section.querySelector(".rows");
    this.#number = section.querySelector(".number");
    this.#options = { ...LIVE, ...options };
  }

  /** Shows tracks over a span of time, ms, and which of them are in the image at one moment. */
  show(tracks, from, to, at = to) {
    const { isPresent, sorted, words, keepsInView } = this.#options;
    const present = new Set(tracks.filter((track) => isPresent(track, at)).map(({ id }) => id));
    setText(this.#number, words(present.size, tracks.length));
    const isSame = this.#drawn.tracks === tracks && this.#drawn.from === from && this.#drawn.to === to;
    if (!isSame) this.#draw(sorted(tracks, ({ id }) => present.has(id)), from, to);
    for (const id of new Set([...this.#present, ...present])) {
      this.#elements.get(id)?.classList.toggle("gone", !present.has(id));
    }
    this.#present = present;
    this.#drawn = { tracks, from, to };
    if (keepsInView) this.#scrollToPresent();
  }

  #draw(tracks, from, to) {
    const wanted = new Set(tracks.map(({ id }) => id));
    for (const [id, element] of this.#elements) {
      if (wanted.has(id)) continue;
      element.remove();
      this.#elements.delete(id);
    }
    tracks.forEach((track, place) => {
      const element = this.#elements.get(track.id) ?? this.#make(track);
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
    if (this.#options.keepsInView) this.#scrollToPresent(true);
  }

  /** Scrolls to the followed row, or to the first one in the image, unless somebody is choosing a row. */
  #scrollToPresent(always = false) {
    if (!always && this.#rows.matches(":hover, :focus-within")) return;
    const followed = this.#elements.get(this.#followed);
    const present = followed ? [followed] : [...this.#present].flatMap((id) => this.#elements.get(id) ?? []);
    const element = present.reduce((top, one) => (top && top.offsetTop <= one.offsetTop ? top : one), null);
    if (element === null) return;
    const { clientHeight, scrollTop } = this.#rows;
    const top = element.offsetTop - this.#rows.offsetTop;
    if (top < scrollTop || top + element.offsetHeight > scrollTop + clientHeight) this.#rows.scrollTop = top - clientHeight / 4;
  }

  #make({ id, colour }) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = "track gone";
    element.dataset.track = id;
    element.setAttribute("aria-pressed", String(id === this.#followed));
    const name = document.createElement("span");
    name.className = "name";
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.style.color = colour;
    element.append(name, bar);
    element.addEventListener("click", (event) => this.#click(id, event));
    if (this.#present.has(id)) element.classList.remove("gone");
    this.#elements.set(id, element);
    return element;
  }

  #click(id, { target, clientX }) {
    const bar = target.closest(".bar");
    let at = null;
    if (bar !== null) {
      const { left, width } = bar.getBoundingClientRect();
      const { from, to } = this.#drawn;
      at = from + ((clientX - left) / width) * (to - from);
    }
    const isNew = id !== this.#followed;
    if (isNew || at === null || !this.#options.keepsInView) {
      this.dispatchEvent(new CustomEvent("follow", { detail: isNew ? id : null }));
    }
    if (isNew || at !== null) this.dispatchEvent(new CustomEvent("seek", { detail: { id, at } }));
  }

  #update(element, { id, label, spans }, from, to) {
    const [name, bar] = element.children;
    setText(name, `${label} ${id}`);
    const shown = spans.filter(([first, last]) => last >= from && first <= to);
    while (bar.children.length > shown.length) bar.lastElementChild.remove();
    while (bar.children.length < shown.length) bar.append(document.createElement("i"));
    const share = (at) => Math.min(Math.max((at - from) / (to - from), 0), 1) * 100;
    shown.forEach(([first, last], index) => {
      const { style } = bar.children[index];
      style.left = `${share(first)}%`;
      style.width = `${share(last) - share(first)}%`;
    });
  }
}
