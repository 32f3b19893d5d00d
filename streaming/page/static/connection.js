// The connection to the server: reconnects by itself, and says why it cannot.

import { ServerClock } from "./clock.js";

const PING_MS = 1000;
const SILENCE_MS = 5000; // the server speaks twice a second
const lost = (other) => `Connection to ${other} lost. Trying again …`;
const RETRY_MS = [300, 600, 1000, 2000, 3000];

/** Reads an image message: header length (4 bytes, big-endian), JSON header, JPEG. */
export function readImage(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { ...header, jpeg: new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" }) };
}

/** Events: `up` (detail: the hello), `down` (detail: a sentence), `status`, `image`. */
export class Connection extends EventTarget {
  clock = new ServerClock();
  #socket = null;
  #failures = 0;
  #wasUp = false;
  #watching = true;
  #heard = 0;
  #other;

  /** @param other what answers, in the words of the banner: "the run". */
  constructor(other = "the run") {
    super();
    this.#other = other;
    setInterval(() => this.#tick(), PING_MS);
    this.#open();
  }

  /** Reports that an image was drawn or skipped: only then is the next one sent. */
  done({ camera, key }, isDrawn) {
    this.#send({ type: isDrawn ? "drawn" : "passed", camera, key });
  }

  /** Asks for images, or for none while the page is paused or hidden. */
  watch(images) {
    if (images === this.#watching) return;
    this.#watching = images;
    this.#send({ type: "watch", images });
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #tick() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (performance.now() - this.#heard > SILENCE_MS) {
      this.#lost(this.#socket); // a link that went down says nothing, not even goodbye
      return;
    }
    this.#send({ type: "ping", sent: performance.now() });
  }

  #open() {
    const address = new URL("ws", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => socket === this.#socket && this.#receive(data));
    socket.addEventListener("close", () => this.#lost(socket));
    socket.addEventListener("open", () => {
      this.#heard = performance.now();
      this.clock.forget();
      this.#send({ type: "ping", sent: performance.now() });
      if (!this.#watching) this.#send({ type: "watch", images: false });
    });
  }

  #receive(data) {
    this.#heard = performance.now();
    if (typeof data !== "string") {
      this.#emit("image", readImage(data));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "pong") this.clock.note(message.sent, message.at);
    if (message.type === "status") this.#emit("status", message);
    if (message.type === "hello") {
      this.#failures = 0;
      this.#wasUp = true;
      this.#emit("up", message);
    }
  }

  async #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    socket.close();
    const wait = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)];
    this.#emit("down", lost(this.#other));
    this.#emit("down", await whyLost(this.#other, this.#wasUp || this.#failures < 3));
    setTimeout(() => this.#open(), wait);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** A WebSocket does not say why it was refused; an ordinary request to the same place does. */
async function whyLost(other, mayPass) {
  const begin = other.replace(/^the /, "The ");
  const { status, text } = await answerOf(`ws?origin=${encodeURIComponent(location.origin)}`);
  if (status === 401 || (status === 403 && text.includes("token"))) {
    return `${begin} no longer accepts this page. Open the address that roadmask printed when it started.`;
  }
  if (status === 403 && text) return text;
  if (status === 426) {
    return mayPass
      ? lost(other)
      : `${begin} answers, but WebSockets do not reach it: have the reverse proxy pass on the headers Upgrade and Connection. Trying again …`;
  }
  return `${begin} does not answer: it has ended, or the network is down. Trying again …`;
}

/** Gives status and plain text of an answer; 0 if there is none. Pages in HTML are those of a proxy. */
async function answerOf(path) {
  try {
    const answer = await fetch(path, { signal: AbortSignal.timeout(2000) });
    const isPlain = answer.headers.get("Content-Type")?.startsWith("text/plain");
    return { status: answer.status, text: isPlain ? await answer.text() : "" };
  } catch {
    return { status: 0, text: "" };
  }
}
