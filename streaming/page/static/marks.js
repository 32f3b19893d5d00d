// Boxes: which one is pointed at, and the outline of the one that is followed.

/** The instance at a point of the image; if there are several, the smallest: small ones are usually in front. */
export function instanceAt({ instances }, [x, y], slack) {
  const hits = instances.filter(
    ({ id, box: [left, top, right, bottom] }) =>
      id > 0 && x >= left - slack && x <= right + slack && y >= top - slack && y <= bottom + slack,
  );
  const area = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);
  return hits.reduce((least, one) => (least && area(least) <= area(one) ? least : one), null);
}

/** A layer over the image, as sharp as the screen whatever the image's size. */
export class Marks {
  colours = new Map();
  #canvas;

  constructor(canvas) {
    this.#canvas = canvas;
  }

  draw({ size: [height, width], instances }, followed) {
    const canvas = this.#canvas;
    const instance = followed === null ? undefined : instances.find(({ id }) => id === followed);
    canvas.hidden = instance === undefined;
    if (canvas.hidden) return;
    const ratio = devicePixelRatio;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    const [left, top, right, bottom] = instance.box;
    const [x, y] = [(left / width) * canvas.width - 4 * ratio, (top / height) * canvas.height - 4 * ratio];
    const [w, h] = [((right - left) / width) * canvas.width + 8 * ratio, ((bottom - top) / height) * canvas.height + 8 * ratio];
    const context = canvas.getContext("2d");
    context.fillStyle = "rgb(0 0 0 / 35%)"; // everything else steps back
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.clearRect(x, y, w, h);
    for (const [line, colour] of [[5, "#000c"], [2.5, this.colours.get(followed) ?? "#fff"]]) {
      context.lineWidth = line * ratio;
      context.strokeStyle = colour;
      context.strokeRect(x, y, w, h);
    }
  }
}
