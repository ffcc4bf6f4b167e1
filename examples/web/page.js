// The page: strokes and pictures in, a bar for each class out.

const the = (id) => document.getElementById(id);
const paper = the("drawing"), pen = paper.getContext("2d");
let strokes = [], picture = null, ready = null, asked = null, busy = false;

function draw() {
  const style = getComputedStyle(document.body), n = paper.width;
  pen.clearRect(0, 0, n, n);
  if (picture) {
    const scale = n / Math.max(picture.width, picture.height);
    const [w, h] = [picture.width * scale, picture.height * scale];
    pen.imageSmoothingEnabled = scale < 4;
    pen.drawImage(picture, (n - w) / 2, (n - h) / 2, w, h);
  }
  pen.strokeStyle = style.color;
  pen.lineWidth = n * 0.07;
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of strokes) trace(pen, stroke, ([x, y]) => [x * n, y * n]);
}

function changed() {
  draw();
  const empty = !strokes.length && !picture;
  the("hint").hidden = !empty;
  the("clear").disabled = empty;
  the("undo").disabled = !strokes.length;
  const grey = picture ? grey_of_picture(picture) : strokes.length ? grey_of_strokes(strokes) : null;
  asked = { pixels: grey && fitted(grey), empty };
  the("bars").setAttribute("aria-busy", "true");
  answer();
}

// One question at a time; of those that come meanwhile, the last.
async function answer() {
  if (!ready || busy || !asked) return;
  busy = true;
  const { pixels, empty } = asked;
  asked = null;
  show_input(pixels);
  if (pixels) {
    const start = performance.now();
    const scores = await ready.scores(pixels);
    show(scores, performance.now() - start);
  } else show_none(empty ? "Nothing drawn yet" : "No ink found in this picture");
  busy = false;
  if (!asked) the("bars").setAttribute("aria-busy", "false");
  answer();
}

function show_input(pixels) {
  const image = new ImageData(SIDE, SIDE);
  image.data.forEach((_, i) => { image.data[i] = i % 4 === 3 ? 255 : pixels ? pixels[i >> 2] : 0; });
  the("input").getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
}

function show(scores, time) {
  const most = Math.max(...scores);
  const powers = Array.from(scores, (s) => Math.exp(s - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  const order = [...powers.keys()].sort((a, b) => powers[b] - powers[a]);
  [...the("bars").children].forEach((row, i) => set_bar(row, powers[i] / sum, i === order[0]));
  const [best, next] = order.map((i) => ready.names[i]);
  the("best").textContent = best;
  const share = powers[order[0]] / sum;
  the("sure").textContent = share > 0.9 ? "almost certainly" : share > 0.6 ? "probably" : `perhaps, or ${next}`;
  the("speed").textContent = `The last answer took ${time < 10 ? time.toFixed(1) : Math.round(time)} ms.`;
}

function show_none(text) {
  for (const row of the("bars").children) set_bar(row, null, false);
  the("best").textContent = "–";
  the("sure").textContent = text;
}

function set_bar(row, share, is_best) {
  row.classList.toggle("first", is_best);
  row.querySelector("i").style.width = `${100 * (share ?? 0)}%`;
  row.lastElementChild.textContent = share === null ? "" : `${(100 * share).toFixed(1)} %`;
}

function take(image) {
  [strokes, picture] = [[], image];
  changed();
}

async function load(file) {
  if (!file) return;
  try {
    take(await createImageBitmap(file));
  } catch {
    take(null);
    the("sure").textContent = `${file.name || "This"} is not a picture that the browser reads`;
  }
}

// Drawing. Strokes are kept in shares of the side, so they survive a change of size.
const place = (event) => {
  const box = paper.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};
paper.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  event.preventDefault();
  paper.setPointerCapture(event.pointerId);
  if (picture) [strokes, picture] = [[], null];
  strokes.push(Object.assign([place(event)], { pointer: event.pointerId }));
  changed();
});
paper.addEventListener("pointermove", (event) => {
  const stroke = strokes.at(-1);
  if (stroke?.pointer !== event.pointerId) return;
  const events = event.getCoalescedEvents?.() ?? [];
  for (const each of events.length ? events : [event]) stroke.push(place(each));
  changed();
});
for (const kind of ["pointerup", "pointercancel"])
  paper.addEventListener(kind, () => { if (strokes.length) strokes.at(-1).pointer = null; });

the("clear").onclick = () => take(null);
the("undo").onclick = () => { strokes.pop(); changed(); };
the("open").onclick = () => the("file").click();
the("file").onchange = () => { load(the("file").files[0]); the("file").value = ""; };
addEventListener("keydown", (event) => {
  if (event.key === "Escape") take(null);
  if (event.key === "z" && (event.ctrlKey || event.metaKey) && strokes.length) the("undo").click();
});
addEventListener("paste", (event) => load(event.clipboardData.files[0]));
addEventListener("dragover", (event) => { event.preventDefault(); the("paper").classList.add("over"); });
addEventListener("dragleave", () => the("paper").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  the("paper").classList.remove("over");
  load(event.dataTransfer.files[0]);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(() => {
  paper.width = paper.height = Math.round(paper.clientWidth * devicePixelRatio);
  draw();
}).observe(paper);

// The test digits, 784 bytes each.
const digits = bytes_of("digits");
for (let i = 0; i < digits.length; i += SIDE * SIDE) {
  const image = new ImageData(SIDE, SIDE), [canvas, context] = canvasOf(SIDE, SIDE);
  image.data.forEach((_, j) => { image.data[j] = j % 4 === 3 ? 255 : digits[i + (j >> 2)]; });
  context.putImageData(image, 0, 0);
  const button = document.createElement("button");
  button.setAttribute("aria-label", `Test digit ${i / (SIDE * SIDE) + 1}`);
  button.append(canvas);
  button.onclick = () => take(canvas);
  the("samples").append(button);
}

try {
  ready = await network();
  for (const name of ready.names) {
    const row = the("bars").appendChild(document.createElement("li"));
    row.innerHTML = '<span></span><div class="track"><i></i></div><span></span>';
    row.firstElementChild.textContent = name;
  }
  the("best").parentElement.classList.toggle("long", ready.names.some((name) => name.length > 2));
  the("save").href = URL.createObjectURL(new Blob([ready.file]));
  changed();
} catch (error) {
  the("sure").textContent = `The network could not be started: ${error.message}`;
  throw error;
}
