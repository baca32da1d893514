// What the user does: looking around, searching, selecting, printing.
let pending = 0;
function draw() {
  pending = 0;
  drawTop(); drawLanes(); drawPlots();
}
function redraw() { if (!pending) pending = requestAnimationFrame(draw); }

const LEAST = 2000; // ns in view when zoomed in all the way
function setView(a, b) {
  const w = Math.min(END, Math.max(LEAST, b - a));
  a = Math.max(0, Math.min(END - w, a));
  view.a = a; view.b = a + w;
  hovered = -1; $("tip").hidden = true;
  redraw();
}
function zoom(f, at) { at = at === undefined ? (view.a + view.b) / 2 : at; setView(at - (at - view.a) * f, at + (view.b - at) * f); }
const pan = f => setView(view.a + f * (view.b - view.a), view.b + f * (view.b - view.a));
function lookAt(from, to) { const w = Math.max(4e9, (to - from) * 1.6); setView((from + to) / 2 - w / 2, (from + to) / 2 + w / 2); $("board").scrollIntoView({ block: "nearest" }); }

// Search: every word must be in one of the names or sentences of a row, or be its number, or one of its indices.
let found = [], notable = true;
const lower = S.map(s => s.toLowerCase());
function search(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const tests = words.map(w => {
    const hit = Uint8Array.from(lower, s => s.includes(w) ? 1 : 0), n = /^(0x[0-9a-f]+|#?\d+)$/.test(w) ? Number(w.replace("#", "")) : -1;
    for (const k in TITLES) if (TITLES[k].includes(w) && K(k) >= 0) hit[K(k)] |= 2;
    return { hit, n, lost: w === "lost", only: w === "only", at: /^\d+:\d\d(\.\d+)?$/.test(w) ? w : "" };
  });
  const out = [];
  matches = tests.length ? new Uint8Array(N) : null;
  rows: for (let i = 0; i < N; i++) {
    if (!tests.length) { if (!notable || isNotable(i)) out.push(i); continue; }
    for (const { hit, n, lost, only, at } of tests) {
      if (hit[C.kind[i]] || hit[C.host[i]] & 1 || hit[C.peer[i]] & 1 || hit[C.fate[i]] & 1 || hit[C.why[i]] & 1 || hit[C.note[i]] & 1 ||
        hit[C.src[i]] & 1 || hit[C.dst[i]] & 1) continue;
      if (n >= 0 && (C.id[i] === n || C.m[i] === n || C.q[i] === n || C.n[i] === n)) continue;
      if (only && C.flag[i] & ONLY) continue;
      if (lost && messageOf[C.kind[i]] >= 0 && isLost(i)) continue;
      if (at && clock(C.at[i]).startsWith(at.padStart(5, "0"))) continue;
      continue rows;
    }
    matches[i] = 1; out.push(i);
  }
  found = Uint32Array.from(out);
  $("found").textContent = count(found.length) + (tests.length ? " matches of " : " of ") + count(N) + " events";
  $("rows").style.height = found.length * ROW + "px";
  $("list").scrollTop = 0; listFrom = -1;
  drawList(); redraw();
}
function isNotable(i) {
  const k = C.kind[i], m = messageOf[k];
  if (m >= 0) return !(C.flag[i] & ATTACK) && (m < 3 || C.fate[i] !== fDelivered);
  return k !== kPacket && k !== kTimer && k !== kSlot && !S[k].startsWith("keepalive");
}

// The list keeps only the rows that can be seen.
const ROW = 42;
let listFrom = -1;
function drawList(force) {
  const box = $("list"), from = Math.max(0, Math.floor(box.scrollTop / ROW) - 4), to = Math.min(found.length, from + Math.ceil(box.clientHeight / ROW) + 9);
  if (from === listFrom && !force) return;
  listFrom = from;
  const rows = [];
  for (let k = from; k < to; k++) {
    const i = found[k];
    rows.push(el("div", { class: "row", role: "option", "aria-selected": String(i === selected), style: "top:" + k * ROW + "px;--c:var(--" + colorOf(i) + ")", "data-row": i },
      el("div", { class: "a" }, el("b", {}, title(i) + (C.flag[i] & ONLY ? " · only here" : "")), el("time", {}, clock(C.at[i]))), el("div", { class: "b" }, text(i))));
  }
  $("rows").replaceChildren(...rows);
}
function showInList(i) {
  let a = 0, b = found.length;
  while (a < b) { const m = (a + b) >> 1; if (found[m] < i) a = m + 1; else b = m; }
  if (found[a] === i) { const box = $("list"), y = a * ROW; if (y < box.scrollTop || y > box.scrollTop + box.clientHeight - ROW) box.scrollTop = Math.max(0, y - box.clientHeight / 2); }
  drawList(true);
}
function step(d) {
  let a = 0, b = found.length;
  while (a < b) { const m = (a + b) >> 1; if (found[m] < selected) a = m + 1; else b = m; }
  const k = selected < 0 ? 0 : d > 0 ? (found[a] === selected ? a + 1 : a) : a - 1;
  if (k >= 0 && k < found.length) select(found[k], true);
}
function stepWhere(test) { for (let i = selected + 1; i < N; i++) if (test(i)) return select(i, true); }

function select(i, move) {
  selected = i;
  if (i < 0) { $("detail").replaceChildren(); history.replaceState(null, "", location.pathname + location.search); drawList(true); redraw(); return; }
  history.replaceState(null, "", "#e=" + label(i));
  const t = C.at[i];
  if (move && (t < view.a + (view.b - view.a) * .02 || t > view.b - (view.b - view.a) * .02)) { const w = view.b - view.a; setView(t - w / 2, t + w / 2); }
  const l = lanes[laneOf[C.host[i]]], box = $("scroll");
  if (move && l && (l.top < box.scrollTop || l.bottom > box.scrollTop + box.clientHeight)) box.scrollTop = l.top - 20;
  detail(i); showInList(i); redraw();
}

function detail(i) {
  const k = C.kind[i], m = messageOf[k], name = S[k], dl = el("dl");
  const add = (t, v) => { if (v !== "" && v !== undefined && v !== null) dl.append(el("dt", {}, t), el("dd", {}, v)); };
  add("time", clock(C.at[i], 9));
  if (C.dur[i] > 0) add(m >= 0 && isLost(i) ? "lost after" : name === "timer" ? "ran for" : "took", span(C.dur[i]));
  add("host", S[C.host[i]]); add(m >= 0 ? "to" : "peer", S[C.peer[i]]);
  if (m >= 0) {
    add("fate", el("span", { class: isLost(i) ? "lost" : "" }, S[C.fate[i]] + (S[C.why[i]] ? ": " + S[C.why[i]] : "")));
    if (S[C.fate[i]] === "rejected" && !(C.flag[i] & ATTACK)) add("rule", S[C.note[i]]);
    add("from", S[C.src[i]]); add("to address", S[C.dst[i]]); add("size", count(C.size[i]) + " B of UDP payload");
    add("datagram", count(C.m[i]) + (C.n[i] ? ", a copy of " + count(C.n[i]) : "")); add(m === 0 ? "sender index" : "receiver index", el("code", {}, hex(C.q[i])));
    if (C.flag[i] & DAMAGED) add("damage", "bits were changed on the way");
  } else if (name === "packet") {
    add("flow", S[C.why[i]]); add("kind", S[C.note[i]]); add("number", count(C.n[i])); add("from", S[C.src[i]]); add("to", S[C.dst[i]]);
    add("size", count(C.size[i]) + " B"); if (C.q[i]) add("carried by", el("a", { href: "#", onclick: e => { e.preventDefault(); for (const r of lists.messages) if (C.m[r] === C.q[i]) return select(r, true); } }, "datagram " + count(C.q[i])));
  } else if (name === "timer") { add("rule", S[C.note[i]]); add("reset", count(C.m[i]) + " times"); add("deadline", clock(C.n[i])); }
  else {
    add(name === "key-slot" ? "from slot" : "why", S[C.why[i]]); add(name === "key-slot" ? "to slot" : "", S[C.note[i]]);
    if (C.m[i]) add("own index", el("code", {}, hex(C.m[i]))); if (C.n[i]) add("peer's index", el("code", {}, hex(C.n[i])));
    add("address", S[C.src[i]]); add("before", S[C.dst[i]]); if (C.q[i]) add("attempt", C.q[i] + 1);
  }
  if (C.flag[i] & ONLY) add("compared", "only in this run");
  $("detail").replaceChildren(el("h3", {}, title(i), el("a", { href: "#e=" + label(i), title: "A link to this event" }, "#" + label(i))), el("p", {}, text(i)), dl);
}

// hit finds what lies under the pointer.
function hit(x, y) {
  const t = time(x), r = (view.b - view.a) / width * 7;
  let best = -1, near = 7;
  const marks = lists.marks;
  if (shown.core) for (let k = first(marks, t - r), e = first(marks, t + r); k < e; k++) {
    const i = marks[k], l = lanes[laneOf[C.host[i]]], d = Math.hypot(px(C.at[i]) - x, (l ? l.y : 8) - y);
    if (glyphOf[C.kind[i]] && d < near + 1) { near = Math.max(.1, d - 3); best = i; }
  }
  const list = lists.messages, from = first(list, t - r - reach), to = first(list, t + r);
  for (let k = Math.max(from, to - 20000); k < to; k++) {
    const i = list[k];
    if (!shown[sortOf(i)]) continue;
    const e = geometry(i);
    if (!e) continue;
    const dx = e.x1 - e.x0, dy = e.y1 - e.y0, f = Math.max(0, Math.min(1, ((x - e.x0) * dx + (y - e.y0) * dy) / (dx * dx + dy * dy || 1)));
    const d = Math.hypot(e.x0 + f * dx - x, e.y0 + f * dy - y) + (messageOf[C.kind[i]] < 3 ? -1.5 : 0);
    if (d < near) { near = d; best = i; }
  }
  if (best >= 0) return { row: best, words: title(best), more: clock(C.at[best]) + "  " + text(best) };
  for (const l of lanes) {
    if (y < l.top || y > l.bottom) continue;
    if (shown.sessions) for (const s of l.sessions) if (s.start <= t && s.end >= t && Math.abs(l.sessionY + (s.track + .5) * l.bar - y) < l.bar / 2)
      return { row: s.row, words: "Session " + s.number + ", " + S[s.host] + " – " + S[s.peer], more: clock(s.start) + " to " + (s.open && s.end === END ? "the end" : clock(s.end)) + ", key pair kept for " + span(s.end - s.start) };
    if (shown.timers) for (const m of l.timers) if (m.start <= t && m.end >= t && Math.abs(l.timerY + (m.track + .5) * TIMER_BAR - y) < TIMER_BAR / 2)
      return { row: m.row, words: title(m.row), more: clock(m.start) + "  " + text(m.row) + " (" + S[C.note[m.row]] + ")" };
    for (const d of l.away || []) if (d.start_ns <= t && d.end_ns >= t && y < l.timerY + 6) return { row: -1, words: d.name, more: "for " + span(d.end_ns - d.start_ns) };
  }
  return null;
}

function pointer(id) {
  const c = $(id);
  let down = null;
  c.addEventListener("wheel", e => {
    if (id === "lanes" && !e.ctrlKey && e.altKey) return;
    e.preventDefault();
    if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) pan((e.deltaX || e.deltaY) / width);
    else zoom(Math.exp(Math.max(-120, Math.min(120, e.deltaY)) * .0025), id === "top" ? undefined : time(Math.max(GUTTER, e.offsetX)));
  }, { passive: false });
  c.addEventListener("pointerdown", e => {
    down = { x: e.offsetX, y: e.offsetY, a: view.a, b: view.b, moved: false, scroll: $("scroll").scrollTop };
    c.setPointerCapture(e.pointerId); c.classList.add("drag");
    if (id === "top") jump(e);
  });
  c.addEventListener("pointermove", e => {
    if (!down) { if (id === "lanes") hover(e); return; }
    down.moved = down.moved || Math.abs(e.offsetX - down.x) + Math.abs(e.offsetY - down.y) > 4;
    if (id === "top") jump(e);
    else if (down.moved) { const d = (down.x - e.offsetX) / (width - GUTTER - RIGHT) * (down.b - down.a); setView(down.a + d, down.b + d); $("scroll").scrollTop = down.scroll + down.y - e.offsetY; }
  });
  c.addEventListener("pointerup", e => {
    if (down && !down.moved && id === "lanes") { const h = hit(e.offsetX, e.offsetY + $("scroll").scrollTop); select(h ? h.row : -1); }
    down = null; c.classList.remove("drag");
  });
  c.addEventListener("pointerleave", () => { $("tip").hidden = true; if (hovered >= 0) { hovered = -1; redraw(); } });
  c.addEventListener("dblclick", e => zoom(.25, time(e.offsetX)));
  const jump = e => { const t = (e.offsetX - GUTTER) / (width - GUTTER - RIGHT) * END, w = view.b - view.a; if (w < END) setView(t - w / 2, t + w / 2); };
}
function hover(e) {
  const h = hit(e.offsetX, e.offsetY + $("scroll").scrollTop), tip = $("tip");
  $("lanes").style.cursor = h ? "pointer" : "";
  if ((h ? h.row : -1) !== hovered) { hovered = h ? h.row : -1; redraw(); }
  tip.hidden = !h;
  if (!h) return;
  tip.replaceChildren(el("b", {}, h.words), h.more);
  const y = e.offsetY + $("scroll").offsetTop;
  tip.style.left = Math.min(e.offsetX + 14, width - tip.offsetWidth - 8) + "px";
  tip.style.top = (y + 20 + tip.offsetHeight > $("board").clientHeight ? y - tip.offsetHeight - 10 : y + 18) + "px";
}

const KEYS = [["/", "search", () => $("query").focus()], ["+", "zoom in", () => zoom(.5)], ["-", "zoom out", () => zoom(2)], ["0", "the whole run", () => setView(0, END)],
  ["ArrowLeft", "earlier", () => pan(-.2)], ["ArrowRight", "later", () => pan(.2)], ["j", "next event of the list", () => step(1)], ["k", "event before", () => step(-1)],
  ["x", "next datagram that gets lost", () => stepWhere(i => messageOf[C.kind[i]] >= 0 && isLost(i))], ["h", "next handshake", () => stepWhere(i => S[C.kind[i]] === "handshake-complete")],
  ["Enter", "zoom in on the event", () => { if (selected >= 0) { const d = Math.max(C.dur[selected], 2e7); setView(C.at[selected] - d, C.at[selected] + 2 * d); } }],
  ["t", "light or dark", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark")], ["Escape", "let go", () => { $("query").value ? ($("query").value = "", search("")) : select(-1); }],
  ["?", "this list", () => $("help").showModal()]];
function keyboard(e) {
  if (e.ctrlKey || e.metaKey || e.altKey || $("help").open) return;
  if (e.target === $("query")) { if (e.key === "Enter" && found.length) select(found[0], true); else if (e.key !== "Escape") return; else $("query").blur(); }
  if (e.target.tagName === "BUTTON" && e.key === "Enter") return;
  const name = { ArrowDown: "j", ArrowUp: "k", "=": "+", "_": "-", Home: "0" }[e.key] || e.key, k = KEYS.find(k => k[0] === name);
  if (k) { e.preventDefault(); k[2](); }
}

function setTheme(name) { document.documentElement.dataset.theme = name; readTheme(); redraw(); }
function resize() { width = $("board").clientWidth; layOut(); redraw(); drawList(true); }
function follow() { const m = /^#e=(t?\d+)$/.exec(location.hash), i = m ? findRow(m[1]) : -1; if (i >= 0) { if (view.b - view.a === END) { const w = Math.min(END, Math.max(END / 20, 8e9)); setView(C.at[i] - w / 2, C.at[i] + w / 2); } select(i, true); } }

function start() {
  performance.mark("decoded");
  document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  buildHead();
  for (const [sort, name, c] of SORTS) $("legend").append(el("button", { "aria-pressed": String(shown[sort]), style: "--c:var(" + c + ")", onclick: e => {
    shown[sort] = !shown[sort]; e.currentTarget.setAttribute("aria-pressed", String(shown[sort])); layOut(); redraw(); } }, el("i"), name));
  readTheme(); resize(); cancelAnimationFrame(pending); draw();
  requestAnimationFrame(() => setTimeout(() => { performance.mark("painted"); document.documentElement.dataset.ready = "true"; }));
  buildTables(); search(""); follow();
  $("help").append(el("h2", {}, "Keys"), el("dl", {}, KEYS.flatMap(k => [el("dt", {}, el("kbd", {}, { ArrowLeft: "←", ArrowRight: "→", "-": "−" }[k[0]] || k[0])), el("dd", {}, k[1])])),
    el("p", {}, "Wheel: zoom. Shift and wheel, or drag: move. Click: an event. Double click: zoom in."), el("button", { onclick: () => $("help").close() }, "Close"));
  for (const id of ["top", "lanes", "plots"]) pointer(id);
  $("scroll").addEventListener("scroll", redraw);
  $("list").addEventListener("scroll", () => drawList());
  $("rows").addEventListener("click", e => { const r = e.target.closest(".row"); if (r) select(Number(r.dataset.row), true); });
  $("query").addEventListener("input", e => search(e.target.value));
  for (const [id, v] of [["notable", true], ["all", false]]) $(id).onclick = () => { notable = v; $("notable").setAttribute("aria-pressed", String(v)); $("all").setAttribute("aria-pressed", String(!v)); search($("query").value); };
  $("in").onclick = () => zoom(.5); $("out").onclick = () => zoom(2); $("fit").onclick = () => setView(0, END);
  $("theme").onclick = () => KEYS.find(k => k[0] === "t")[2](); $("keys").onclick = () => $("help").showModal();
  addEventListener("keydown", keyboard); addEventListener("hashchange", follow);
  new ResizeObserver(resize).observe($("board")); addEventListener("resize", resize);
  let before = "";
  addEventListener("beforeprint", () => { before = document.documentElement.dataset.theme; printing = true; setTheme("light"); width = 1040; layOut(); cancelAnimationFrame(pending); draw(); });
  addEventListener("afterprint", () => { printing = false; setTheme(before); resize(); });
}
start();
