// The server's own clock, as seen from a browser whose clock may be wrong. It never jumps; all times here are its.
//
// A ping is answered with it. The answer was given somewhere between sending and receiving, most likely in the middle,
// so half the round trip bounds the error; the quickest of the recent answers counts.

const REMEMBERED = 8;

export class ServerClock {
  #samples = [];

  forget() {
    this.#samples = [];
  }

  /** Notes an answer: when the ping was sent by our clock, and what the server's clock said. */
  note(sent, at) {
    const received = performance.now();
    const sample = { offset: at - (sent + received) / 2, error: (received - sent) / 2 };
    const best = this.#best();
    // one of the two clocks stood still for a while, as on a machine that slept: older answers are worthless
    if (best && Math.abs(sample.offset - best.offset) > sample.error + best.error + 50) this.#samples = [];
    this.#samples = [...this.#samples.slice(1 - REMEMBERED), sample];
  }

  /** The server's clock now, ms since it started; null before it is known. */
  at() {
    const best = this.#best();
    return best ? best.offset + performance.now() : null;
  }

  #best() {
    return this.#samples.reduce((least, one) => (least && least.error <= one.error ? least : one), null);
  }
}
