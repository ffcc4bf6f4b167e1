// The network: an ONNX file as fcnn.export.onnx writes it, run by onnxruntime-web.

const text_of = (id) => document.getElementById(id).textContent.trim();
const bytes_of = (id) => Uint8Array.from(atob(text_of(id)), (c) => c.charCodeAt(0));

async function unzipped(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The file's metadata, which onnxruntime-web does not hand out: field 14 of the outermost message
// holds messages of a key (field 1) and a value (field 2). Every other field is stepped over.
function metadata_of(bytes) {
  const found = {}, decoder = new TextDecoder();
  for (const [field, value] of fields(bytes)) {
    if (field !== 14) continue;
    const pair = Object.fromEntries(fields(value));
    found[decoder.decode(pair[1])] = decoder.decode(pair[2]);
  }
  return found;
}

function* fields(bytes) {
  let at = 0;
  const number = () => {
    let [value, factor] = [0, 1];
    for (;; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number(), kind = tag & 7;
    if (kind === 2) {
      const size = number();
      yield [tag >>> 3, bytes.subarray(at, at + size)];
      at += size;
    } else if (kind === 0) number();
    else at += kind === 1 ? 8 : 4;
  }
}

// Return { names, file, scores }, where scores(pixels) are the class scores of one image.
async function network() {
  const source = new TextDecoder().decode(await unzipped(bytes_of("engine")));
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const ort = await import(url);
  ort.env.wasm.numThreads = 1; // more need headers that a file on disk has not
  ort.env.wasm.wasmBinary = (await unzipped(bytes_of("wasm"))).buffer;
  const file = bytes_of("model");
  const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
  const [input, output] = [session.inputNames[0], session.outputNames[0]];
  const names = JSON.parse(metadata_of(file).class_names);
  const scores = async (pixels) => {
    const x = new ort.Tensor("float32", Float32Array.from(pixels), [1, SIDE, SIDE, 1]);
    return (await session.run({ [input]: x }))[output].data;
  };
  return { names, file, scores };
}
