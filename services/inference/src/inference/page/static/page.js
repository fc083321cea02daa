// The page: images in, one request each at a low confidence; the slider then filters what is here already.

import { annotated, key, models, predict, predictAddress } from "/page/api.js";
import { boxAt, colour, draw } from "/page/boxes.js";

const FLOOR = 0.01; // what the slider can go down to
const MOST = 1000;
const element = (id) => document.getElementById(id);
const state = { serving: [], items: [], shown: null, hidden: new Set(), lit: null };

// ---- which model answers

async function meet() {
  try {
    const { models: serving, waiting } = await models();
    state.serving = serving;
    element("key-form").hidden = true;
    fillProjects(serving);
    if (!serving.length) say(`No model yet${waiting.length ? ` for ${waiting.join(", ")}` : ""}: it is being waited for.`);
    else describe();
  } catch (problem) {
    if ([401, 403].includes(problem.status)) askForKey(problem);
    else complain(problem);
    say("Which model answers is not known.");
  }
}

const say = (text) => { element("model").textContent = text; };
const chosen = () => state.serving.find((each) => each.project === element("project").value) || state.serving[0];

function fillProjects(serving) {
  const before = element("project").value;
  element("project").replaceChildren(...serving.map(({ project }) => new Option(project, project)));
  if (serving.some(({ project }) => project === before)) element("project").value = before;
  element("project-choice").hidden = serving.length < 2;
}

function describe() {
  const model = chosen();
  const quality = typeof model.test?.map50 === "number" ? ` · mAP50 ${model.test.map50.toFixed(3)} on its test images` : "";
  say(`${model.model} · ${model.artifact} · ${model.backend}${quality}`);
  const usual = model.thresholds.confidence;
  element("confidence").value = usual;
  element("usual").replaceChildren(new Option(String(usual), String(usual)));
}

function askForKey(problem) {
  element("key-form").hidden = false;
  element("key").focus();
  complain(problem);
}

// ---- asking

function wishes(confidence) {
  const tiled = element("tiled").checked ? { tile: chosen()?.image_size ?? 640 } : {};
  const project = state.serving.length > 1 ? { project: element("project").value } : {};
  return { ...project, confidence, ...tiled };
}

async function take(files) {
  const taken = [...files].map((file) => ({ file, name: file.name || "pasted image", picture: null, answer: null, problem: null }));
  if (!taken.length) return;
  state.items.push(...taken);
  show(taken[0]);
  for (const item of taken) await answer(item); // one after another: others ask this service, too
}

async function answer(item) {
  item.answer = item.problem = null;
  item.picture ??= await pictureOf(item.file);
  if (item === state.shown) render();
  try {
    item.answer = await predict(item.file, { ...wishes(FLOOR), max_detections: MOST });
    if (!item.picture) { // a format that the service reads and this browser does not
      item.unseen = true;
      item.picture = blank(item.answer.image);
    }
  } catch (problem) {
    item.problem = problem;
    if ([401, 403].includes(problem.status)) askForKey(problem);
  }
  if (item === state.shown) render();
  strip();
}

const again = async () => { for (const item of state.items) await answer(item); };

async function pictureOf(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
}

function blank({ width, height }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#8884";
  context.fillRect(0, 0, width, height);
  return canvas;
}

// ---- showing

function show(item) {
  state.shown = item;
  state.lit = null;
  state.hidden.clear();
  render();
  strip();
}

const confidence = () => Number(element("confidence").value);
const sure = () => (state.shown?.answer?.detections ?? []).filter((each) => each.confidence >= confidence());
const visible = () => sure().filter((each) => !state.hidden.has(each.class));

function render() {
  element("confidence-said").textContent = confidence().toFixed(2);
  const { picture, answer: answered, problem } = state.shown ?? {};
  element("drop").hidden = Boolean(state.shown);
  element("canvas").hidden = !picture;
  complain(problem);
  element("time").hidden = element("take").hidden = !answered;
  if (picture) draw(element("canvas"), picture, visible(), state.lit);
  list();
  if (!answered) {
    element("summary").textContent = !state.shown ? "Nothing asked yet." : problem ? "Not answered." : "Looking…";
    return;
  }
  const tiles = element("tiled").checked ? ", with tiles" : "";
  const unseen = state.shown.unseen ? "; this browser can't show the image itself" : "";
  element("summary").textContent = `${visible().length} of ${answered.detections.length} finds in ${state.shown.name} (${answered.image.width} × ${answered.image.height}${tiles})${unseen}`;
  times(answered.timings_ms);
  element("curl").textContent = shell();
}

function complain(problem) {
  element("problem").hidden = !problem;
  if (!problem) return;
  const line = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  const parts = [line("strong", problem.title), line("p", problem.message)];
  if (problem.hint) parts.push(line("p", problem.hint));
  if (problem.rule) parts.push(Object.assign(line("p", problem.rule), { className: "quiet" }));
  element("problem").replaceChildren(...parts);
}

function list() {
  const counts = new Map();
  for (const each of sure()) counts.set(each.class, { name: each.name, count: (counts.get(each.class)?.count ?? 0) + 1 });
  const classes = [...counts].sort(([one], [other]) => one - other);
  element("classes").replaceChildren(...classes.map(([id, { name, count }]) => classRow(id, name, count)));
  element("detections").replaceChildren(...visible().map(detectionRow));
}

function swatch(id) {
  const made = document.createElement("span");
  made.className = "swatch";
  made.style.background = colour(id);
  return made;
}

function text(className, content) {
  return Object.assign(document.createElement("span"), { className, textContent: content });
}

function classRow(id, name, count) {
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !state.hidden.has(id) });
  box.addEventListener("change", () => { state.hidden[box.checked ? "delete" : "add"](id); render(); });
  const label = document.createElement("label");
  label.append(box, swatch(id), text("", name), text("count", count));
  const row = document.createElement("li");
  row.append(label);
  return row;
}

function detectionRow(detection) {
  const { x1, y1, x2, y2 } = detection.box;
  const row = document.createElement("li");
  row.tabIndex = 0;
  row.classList.toggle("lit", detection === state.lit);
  const place = `${Math.round(x1)}, ${Math.round(y1)} – ${Math.round(x2)}, ${Math.round(y2)}`;
  row.append(swatch(detection.class), text("", detection.name), text("place", place), text("score", detection.confidence.toFixed(3)));
  for (const event of ["pointerenter", "focus"]) row.addEventListener(event, () => light(detection));
  for (const event of ["pointerleave", "blur"]) row.addEventListener(event, () => light(null));
  return row;
}

function light(detection) {
  if (state.lit === detection) return;
  state.lit = detection;
  draw(element("canvas"), state.shown.picture, visible(), detection);
  const place = visible().indexOf(detection);
  [...element("detections").children].forEach((row, number) => row.classList.toggle("lit", number === place));
}

function times(timings) {
  const steps = Object.entries(timings).filter(([, ms]) => typeof ms === "number");
  const total = steps.reduce((sum, [, ms]) => sum + ms, 0) || 1;
  element("bar").replaceChildren(...steps.map(([step, ms], number) => {
    const part = Object.assign(document.createElement("div"), { title: `${step} ${ms.toFixed(1)} ms` });
    part.style.cssText = `width: ${(100 * ms) / total}%; background: ${colour(number)}`;
    return part;
  }));
  element("steps").textContent = steps.map(([step, ms]) => `${step.replace("_", "-")} ${ms.toFixed(1)}`).join(" · ") + " ms";
}

function shell() {
  const header = key.get() ? " -H \"Authorization: Bearer $LABELSTREAM_API_KEY\"" : "";
  const name = state.shown.name.replaceAll("'", "'\\''");
  return `curl${header} --data-binary '@${name}' '${location.origin}${predictAddress(wishes(confidence()))}'`;
}

function strip() {
  element("strip").hidden = state.items.length < 2;
  element("strip").replaceChildren(...state.items.map((item) => {
    item.url ??= URL.createObjectURL(item.file);
    const image = Object.assign(document.createElement("img"), { src: item.url, alt: item.name });
    image.addEventListener("error", () => image.replaceWith(text("", item.name)));
    const count = item.answer?.detections.filter((each) => each.confidence >= confidence()).length;
    const button = Object.assign(document.createElement("button"), { type: "button", title: item.name });
    button.append(image, text("", item.problem ? "!" : count ?? "…"));
    button.setAttribute("aria-current", String(item === state.shown));
    button.addEventListener("click", () => show(item));
    const place = document.createElement("li");
    place.append(button);
    return place;
  }));
}

// ---- taking away

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

const stem = () => state.shown.name.replace(/\.[^.]*$/, "");

function saveJson() {
  const said = { ...state.shown.answer, detections: visible() };
  save(new Blob([JSON.stringify(said, null, 2)], { type: "application/json" }), `${stem()}.json`);
}

async function saveJpeg() {
  try {
    save(await annotated(state.shown.file, wishes(confidence())), `${stem()}-boxes.jpg`);
  } catch (problem) {
    complain(problem);
  }
}

// ---- hands and keys

const choose = () => element("file").click();
element("drop").addEventListener("click", choose);
element("drop").addEventListener("keydown", (event) => { if (["Enter", " "].includes(event.key)) choose(); });
element("another").addEventListener("click", choose);
element("file").addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
element("confidence").addEventListener("input", () => { render(); strip(); });
element("tiled").addEventListener("change", again);
element("project").addEventListener("change", () => { describe(); again(); });
element("json").addEventListener("click", saveJson);
element("jpeg").addEventListener("click", saveJpeg);
element("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  key.set(element("key").value);
  complain(null);
  await meet();
  await again();
});
element("canvas").addEventListener("pointermove", (event) => {
  const { left, top, width, height } = element("canvas").getBoundingClientRect();
  const { picture } = state.shown;
  light(boxAt(visible(), ((event.clientX - left) / width) * picture.width, ((event.clientY - top) / height) * picture.height));
});
element("canvas").addEventListener("pointerleave", () => light(null));
addEventListener("paste", (event) => take([...event.clipboardData.files]));
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => { event.preventDefault(); document.body.classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) addEventListener(name, () => document.body.classList.remove("over"));
addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files); });

await meet();
