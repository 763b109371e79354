// What a page does by itself: it reads itself again when the service has changed, and obeys keys. All pages work without it.
"use strict";

const body = document.body;
const offline = document.getElementById("offline");

// -- Live pages ------------------------------------------------------------------------------------------------------

// Replaces the parts of this page that are live by those of the page as it is now.
async function refresh() {
  let response;
  try {
    response = await fetch(location.href, { headers: { "x-live": "1" }, redirect: "manual" });
  } catch {
    offline.hidden = false;
    return;
  }
  if (response.type === "opaqueredirect") return location.reload(); // the session has ended
  offline.hidden = response.ok;
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const now of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(now.id);
    const active = document.activeElement;
    const typing = now.contains(active) && active.matches("input, select, textarea");
    const selecting = !getSelection().isCollapsed && now.contains(getSelection().anchorNode);
    if (!next || typing || selecting || next.innerHTML === now.innerHTML) continue;
    const place = now.contains(active) ? [...now.querySelectorAll("a, button")].indexOf(active) : -1;
    const scrolled = [...now.querySelectorAll(".scroll, .board")].map((one) => one.scrollLeft);
    now.replaceChildren(...next.childNodes);
    now.querySelectorAll(".scroll, .board").forEach((one, number) => { one.scrollLeft = scrolled[number] ?? 0; });
    if (place >= 0) now.querySelectorAll("a, button")[place]?.focus();
  }
  if (fresh.body.dataset.liveOften === undefined) delete body.dataset.liveOften;
}

let stream = null;

// A page in the background holds no connection: browsers allow few.
function follow() {
  stream?.close();
  stream = null;
  if (document.hidden || body.dataset.liveOf === undefined) return;
  stream = new EventSource("/live?of=" + encodeURIComponent(body.dataset.liveOf));
  stream.addEventListener("changed", refresh);
  stream.addEventListener("error", () => { offline.hidden = navigator.onLine && stream?.readyState !== EventSource.CONNECTING; });
  stream.addEventListener("open", () => { offline.hidden = true; });
}

async function oftenAgain() {
  if (body.dataset.liveOften === undefined) return;
  if (!document.hidden) await refresh();
  setTimeout(oftenAgain, 700);
}

document.addEventListener("visibilitychange", () => { follow(); if (!document.hidden && body.dataset.liveOf !== undefined) refresh(); });
addEventListener("pagehide", () => stream?.close());
follow();
oftenAgain();

// -- Forms: sent once -------------------------------------------------------------------------------------------------

for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => setTimeout(() => form.querySelectorAll("button").forEach((one) => { one.disabled = true; })));
}
addEventListener("pageshow", () => document.querySelectorAll("form[data-once] button").forEach((one) => { one.disabled = false; }));

// -- Keys -------------------------------------------------------------------------------------------------------------

const keys = document.getElementById("keys");
for (const button of document.querySelectorAll("[data-opens=keys]")) {
  button.hidden = false;
  button.addEventListener("click", () => keys.showModal());
}

let goes = 0;

function moveRow(step) {
  const rows = [...document.querySelectorAll("main tbody tr, main .card, main .case, main .shortlist li")].filter((one) => one.querySelector("a"));
  const at = rows.findIndex((one) => one.contains(document.activeElement));
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1)];
  next?.querySelector("a").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || keys?.open) return;
  if (event.target.matches("input, select, textarea, [contenteditable]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  // By the place on the keyboard, too: a Persian layout has other letters there.
  const letter = /^Key[A-Z]$/.test(event.code) && !/^[a-z?/]$/i.test(event.key) ? event.code[3].toLowerCase() : event.key;
  if (goes && event.timeStamp - goes < 1500) {
    goes = 0;
    const link = document.querySelector(`nav a[data-key="${CSS.escape(letter)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  if (letter === "g") goes = event.timeStamp;
  else if (event.key === "?" || event.key === "؟") keys?.showModal();
  else if (event.key === "/" || event.code === "Slash" && !event.shiftKey) { event.preventDefault(); document.getElementById("q")?.focus(); }
  else if (letter === "j") moveRow(1);
  else if (letter === "k") moveRow(-1);
});
