// The server's clocks, as seen from a browser whose own clock may be wrong.
//
// A ping is answered with the server's clocks. The answer was given somewhere between sending and receiving, most
// likely in the middle, so that half the round trip bounds the error; of the last answers the quickest counts.

const REMEMBERED = 8;

export class ServerClock {
  #samples = [];

  forget() {
    this.#samples = [];
  }

  /** Notes an answer: when the ping was sent by our clock, and what the server's clocks said. */
  note(sent, { wall, at }) {
    const received = performance.now();
    const middle = (sent + received) / 2;
    const sample = { wall: wall - middle, at: at - middle, error: (received - sent) / 2 };
    const best = this.#best();
    // the server's wall clock was set: what we knew of it is worth nothing
    if (best && Math.abs(sample.wall - best.wall) > sample.error + best.error + 50) this.#samples = [];
    this.#samples = [...this.#samples.slice(1 - REMEMBERED), sample];
  }

  get known() {
    return this.#samples.length > 0;
  }

  /** The server's wall clock now, ms since 1970. */
  wall() {
    const best = this.#best();
    return best ? best.wall + performance.now() : null;
  }

  /** The server's steady clock now, ms since it started. */
  at() {
    const best = this.#best();
    return best ? best.at + performance.now() : null;
  }

  #best() {
    return this.#samples.reduce((least, one) => (least && least.error <= one.error ? least : one), null);
  }
}
