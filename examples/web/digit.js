// From strokes or a picture to an image as MNIST has them: 28 by 28 numbers from 0 (paper) to 255
// (ink), the digit fitted into 20 by 20 pixels by its longer side, with grey levels where a pixel is
// covered in part, and its centre of mass in the middle.
// Source: http://yann.lecun.com/exdb/mnist, "the images were centered in a 28x28 image ...".

const SIDE = 28, BOX = 20;
const PEN = 2.6; // the width of a stroke, in pixels of the 28
const FINE = 10; // strokes are drawn so many times as large first

function canvasOf(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
}

// Draw strokes, lists of points [x, y], with a pen whose width follows the size of the digit.
function grey_of_strokes(strokes) {
  const points = strokes.flat();
  const low = [0, 1].map((k) => Math.min(...points.map((p) => p[k])));
  const high = [0, 1].map((k) => Math.max(...points.map((p) => p[k])));
  const size = Math.max(high[0] - low[0], high[1] - low[1], 0.02);
  const scale = (FINE * (BOX - PEN)) / size, n = FINE * SIDE, pen = FINE * PEN;
  const [, context] = canvasOf(n, n);
  context.lineWidth = pen;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) trace(context, stroke, ([x, y]) => [
    pen + (x - low[0]) * scale, pen + (y - low[1]) * scale]);
  const { data } = context.getImageData(0, 0, n, n);
  return { width: n, height: n, values: Float32Array.from({ length: n * n }, (_, i) => data[4 * i + 3] / 255) };
}

function trace(context, stroke, place) {
  context.beginPath();
  context.moveTo(...place(stroke[0]));
  for (const point of stroke) context.lineTo(...place(point)); // a single point is a dot
  context.stroke();
}

// Read a picture: ink is what differs from the border, light on dark or dark on light.
function grey_of_picture(picture) {
  const shrink = Math.min(1, 280 / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((n) => Math.max(1, Math.round(n * shrink)));
  for (const paper of ["#fff", "#000"]) { // under what is transparent
    const [, context] = canvasOf(width, height);
    context.fillStyle = paper;
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const values = Float32Array.from({ length: width * height }, (_, i) =>
      (0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]) / 255);
    const border = values.filter((_, i) =>
      i < width || i >= width * (height - 1) || i % width === 0 || i % width === width - 1).sort();
    const ground = border[border.length >> 1];
    const sign = ground > 0.5 ? -1 : 1;
    const ink = values.map((v) => Math.max(0, sign * (v - ground)));
    const most = ink.reduce((a, b) => Math.max(a, b), 0);
    if (most > 0.1) return { width, height, values: ink.map((v) => v / most) };
  }
  return null;
}

// How much of each of n source pixels lies in each of the 28: [first, shares] for every one.
function shares(n, start, step) {
  return Array.from({ length: SIDE }, (_, i) => {
    const from = start + i * step, to = from + step;
    const first = Math.max(0, Math.floor(from)), parts = [];
    for (let j = first; j < Math.min(n, Math.ceil(to)); j++)
      parts.push((Math.min(to, j + 1) - Math.max(from, j)) / step);
    return [first, parts];
  });
}

// Fit ink into the 28 by 28 pixels; null if there is none.
function fitted({ width, height, values }) {
  if (width === SIDE && height === SIDE) return values.map((v) => Math.round(255 * v)); // it is one already
  let [left, right, top, bottom, mass, x, y] = [width, 0, height, 0, 0, 0, 0];
  const faint = 0.15; // paper is not uniform in a photograph
  const ink = values.map((v) => (v < faint ? 0 : v));
  ink.forEach((v, i) => {
    if (!v) return;
    const [column, row] = [i % width, Math.floor(i / width)];
    left = Math.min(left, column), right = Math.max(right, column + 1);
    top = Math.min(top, row), bottom = Math.max(bottom, row + 1);
    mass += v, x += v * (column + 0.5), y += v * (row + 0.5);
  });
  if (!mass) return null;
  const step = Math.max(right - left, bottom - top) / BOX;
  const middle = (SIDE + 1) / 2; // of pixel 14, where MNIST's images have it on average
  const columns = shares(width, x / mass - middle * step, step);
  const rows = shares(height, y / mass - middle * step, step);
  const out = new Float32Array(SIDE * SIDE);
  rows.forEach(([row, downs], i) => columns.forEach(([column, acrosses], j) => {
    let sum = 0;
    downs.forEach((down, a) => acrosses.forEach((across, b) => {
      sum += down * across * ink[(row + a) * width + column + b];
    }));
    out[i * SIDE + j] = Math.round(255 * sum);
  }));
  return out;
}
