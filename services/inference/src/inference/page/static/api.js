// Asks the service that this page comes from. Every refusal is a problem (RFC 9457) with a rule, a detail and a hint.

export class Problem extends Error {
  constructor(status, said) {
    super(said.detail || `the service answered ${status}`);
    this.status = status;
    this.title = said.title || "Not answered";
    this.rule = said.rule || "";
    this.hint = said.hint || "";
  }
}

const KEY = "labelstream.api-key";

export const key = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: (value) => sessionStorage.setItem(KEY, value.trim()),
};

async function ask(address, options = {}) {
  const headers = { ...options.headers };
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  let response;
  try {
    response = await fetch(address, { ...options, headers });
  } catch {
    throw new Problem(0, { title: "No answer", detail: "the service can't be reached", hint: "Is it still running?" });
  }
  if (response.ok) return response;
  let said = {};
  try { said = await response.json(); } catch { /* not a problem of ours, such as a proxy's page */ }
  throw new Problem(response.status, said);
}

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// A full queue is no refusal: the service says when to ask again.
async function patiently(address, options) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask(address, options);
    } catch (error) {
      if (attempt > 5 || ![429, 503].includes(error.status) || error.rule === "model.none_yet") throw error;
      await pause(attempt + Math.random());
    }
  }
}

const query = (wishes) => {
  const told = Object.entries(wishes).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return told.length ? `?${new URLSearchParams(told)}` : "";
};

export const models = async () => (await ask("/v1/models")).json();

export const predictAddress = (wishes) => `/v1/predict${query(wishes)}`;

export const predict = async (image, wishes) =>
  (await patiently(predictAddress(wishes), { method: "POST", body: image })).json();

export const annotated = async (image, wishes) =>
  (await patiently(predictAddress(wishes), { method: "POST", body: image, headers: { Accept: "image/jpeg" } })).blob();
