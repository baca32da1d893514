// The diagram: a view of the time from view.a to view.b on three canvases of one width.
const GUTTER = 128, RIGHT = 14, TOPH = 74, PLOTH = 216;
const view = { a: 0, b: END };
let width = 800, scrollH = 300, theme = {}, selected = -1, hovered = -1, matches = null, printing = false;
const shown = { handshake: true, data: true, keepalive: true, lost: true, attack: true, core: true, timers: lanes.length <= 6, sessions: true, faults: true };
const SORTS = [["handshake", "Handshakes", "--initiation"], ["data", "Data", "--transport"], ["keepalive", "Keepalives", "--keepalive"],
  ["lost", "Lost", "--bad"], ["attack", "Attacks", "--junk"], ["core", "Events", "--roam"], ["timers", "Timers", "--warn"],
  ["sessions", "Sessions", "--s1"], ["faults", "Faults", "--bandline"]];

const px = t => GUTTER + (t - view.a) / (view.b - view.a) * (width - GUTTER - RIGHT);
const time = x => view.a + (x - GUTTER) / (width - GUTTER - RIGHT) * (view.b - view.a);

function readTheme() {
  const css = getComputedStyle(document.documentElement);
  for (const n of ["bg", "card", "ink", "soft", "faint", "line", "grid", "lane", "accent", "good", "bad", "warn", "initiation",
    "response", "cookie-reply", "transport", "keepalive", "junk", "roam", "band", "bandline", "away", "shade", "window", "pick", "body",
    "s0", "s1", "s2", "s3", "s4", "s5"]) theme[n] = css.getPropertyValue("--" + n).trim();
  theme.font = "12px " + getComputedStyle(document.body).fontFamily;
  theme.small = "11px " + getComputedStyle(document.body).fontFamily;
  theme.tiny = "10px " + getComputedStyle(document.body).fontFamily;
  theme.bold = "600 12.5px " + getComputedStyle(document.body).fontFamily;
}

// canvas gives a context on which one unit is one CSS pixel.
function canvas(id, h) {
  const c = $(id), r = printing ? 2 : Math.min(window.devicePixelRatio || 1, 2);
  if (c.width !== Math.round(width * r) || c.height !== Math.round(h * r)) {
    c.width = Math.round(width * r); c.height = Math.round(h * r); c.style.height = h + "px";
  }
  const g = c.getContext("2d", { alpha: false });
  g.setTransform(r, 0, 0, r, 0, 0);
  g.fillStyle = theme.card; g.fillRect(0, 0, width, h);
  g.font = theme.font; g.textBaseline = "middle"; g.lineWidth = 1;
  return g;
}

// layOut gives each lane its place: sessions above the line, timers below it, and room for the messages.
const TIMER_BAR = lanes.length < 5 ? 12 : 5;
let content = 0;
function layOut() {
  const many = lanes.length > 8;
  let y = shown.faults && D.faults.some(f => f.kind !== "attack") ? 24 : 12;
  for (const l of lanes) {
    l.top = y;
    l.bar = l.sessionTracks > 24 ? 2 : l.sessionTracks > 6 ? 4 : 14;
    l.roams = l.moves && l.moves.length > 1;
    l.sessionY = y + (l.roams ? 18 : 6);
    l.y = l.sessionY + (shown.sessions ? l.sessionTracks * l.bar : 0) + (l.outsider ? 5 : 14);
    l.timerY = l.y + 9;
    l.below = shown.timers ? l.timerTracks * TIMER_BAR : 0;
    l.bottom = l.timerY + l.below + 2;
    const next = lanes[lanes.indexOf(l) + 1];
    y = l.bottom + (many ? 26 : next && next.outsider ? 44 : lanes.length < 5 ? 104 : 64);
  }
  const last = lanes[lanes.length - 1];
  if (last) y = last.bottom + 8;
  content = y + 4;
  scrollH = printing ? Math.min(content, 1200) : Math.min(content, Math.max(280, Math.round(window.innerHeight * .52)));
  $("scroll").style.height = scrollH + "px";
  $("spacer").style.height = Math.max(0, content - scrollH) + "px";
}

// STEPS are the distances that the ticks of the axis may have.
const STEPS = [];
for (let p = 1; p < 1e9; p *= 10) STEPS.push(p, 2 * p, 5 * p);
for (const s of [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400]) STEPS.push(s * 1e9);
function ticks() {
  const most = (width - GUTTER - RIGHT) / 95, step = STEPS.find(s => (view.b - view.a) / s <= most) || 86400e9;
  const digits = step >= 1e9 ? 0 : step >= 1e6 ? 3 : step >= 1e3 ? 6 : 9, list = [];
  for (let t = Math.ceil(view.a / step) * step; t <= view.b; t += step) list.push(t);
  return { list, digits };
}

// The overview is drawn once for a width and a theme.
let overview = null, overviewFor = "";
function drawOverview(w, h, r) {
  const name = [w, h, r, theme.card, JSON.stringify(shown)].join();
  if (overviewFor === name) return overview;
  overviewFor = name;
  overview = document.createElement("canvas");
  overview.width = Math.round(w * r); overview.height = Math.round(h * r);
  const g = overview.getContext("2d"), bins = Math.max(1, Math.floor(w / 2));
  g.scale(r, r);
  const all = new Float64Array(bins), lost = new Float64Array(bins), shakes = new Float64Array(bins);
  for (const i of lists.messages) {
    const b = Math.min(bins - 1, Math.floor(C.at[i] / END * bins));
    all[b]++;
    if (isLost(i)) lost[b]++; else if (messageOf[C.kind[i]] < 2 && !(C.flag[i] & ATTACK)) shakes[b]++;
  }
  const top = Math.log1p(all.reduce((a, b) => Math.max(a, b), 1));
  const bars = (v, c, alpha) => {
    g.fillStyle = c; g.globalAlpha = alpha;
    for (let b = 0; b < bins; b++) if (v[b]) { const k = Math.max(2, Math.log1p(v[b]) / top * (h - 3)); g.fillRect(b * w / bins, h - k, w / bins, k); }
  };
  if (shown.faults) for (const f of D.faults) if (f.kind !== "attack") {
    g.fillStyle = theme.band; g.fillRect(f.from_ns / END * w, 0, (f.until_ns - f.from_ns) / END * w, h);
  }
  if (D.versus) { // above: what only one of the two runs has
    g.fillStyle = theme.warn; for (const v of D.versus.only_there) g.fillRect(v.at_ns / END * w, 0, 1, 4);
    g.fillStyle = theme.accent; for (let i = 0; i < N; i++) if (C.flag[i] & ONLY) g.fillRect(C.at[i] / END * w, 5, 1, 4);
  }
  bars(all, theme.transport, .5); bars(shakes, theme.initiation, .9); bars(lost, theme.bad, .85);
  g.globalAlpha = 1;
  return overview;
}

function drawTop() {
  const g = canvas("top", TOPH), w = width - GUTTER - RIGHT, r = printing ? 2 : Math.min(window.devicePixelRatio || 1, 2);
  const y = 6, h = 36;
  g.fillStyle = theme.shade; g.fillRect(GUTTER, y, w, h);
  g.drawImage(drawOverview(w, h, r), GUTTER, y, w, h);
  const a = GUTTER + view.a / END * w, b = GUTTER + view.b / END * w;
  g.fillStyle = theme.card; g.globalAlpha = .62;
  g.fillRect(GUTTER, y, a - GUTTER, h); g.fillRect(b, y, GUTTER + w - b, h);
  g.globalAlpha = 1;
  g.strokeStyle = theme.accent; g.lineWidth = 1.5; g.strokeRect(a + .5, y + .5, Math.max(2, b - a - 1), h - 1); g.lineWidth = 1;
  g.fillStyle = theme.accent; g.fillRect(a - 1, y + 11, 3, 14); g.fillRect(b - 2, y + 11, 3, 14);
  g.fillStyle = theme.faint; g.textAlign = "right"; g.font = theme.small;
  g.fillText("whole run", GUTTER - 12, y + h / 2);
  const { list, digits } = ticks();
  g.textAlign = "center"; g.strokeStyle = theme.line; g.fillStyle = theme.soft;
  g.beginPath();
  for (const t of list) { const x = Math.round(px(t)) + .5; g.moveTo(x, TOPH - 5); g.lineTo(x, TOPH); const k = g.measureText(clock(t, digits)).width / 2; if (x + k < width) g.fillText(clock(t, digits), Math.max(GUTTER + k, x), TOPH - 14); }
  g.moveTo(0, TOPH - .5); g.lineTo(width, TOPH - .5); g.stroke();
}

function clip(g, h, dy) { g.save(); g.beginPath(); g.rect(GUTTER, 0, width - GUTTER, h); g.clip(); g.translate(0, -dy); }

function drawBands(g, y0, y1, names) {
  if (!shown.faults) return;
  let right = -1e9;
  for (const f of D.faults) {
    if (f.kind === "attack" || f.until_ns < view.a || f.from_ns > view.b) continue;
    const x = px(f.from_ns), w = Math.max(1.5, px(f.until_ns) - x);
    g.fillStyle = theme.band; g.fillRect(x, y0, w, y1 - y0);
    g.strokeStyle = theme.bandline; g.setLineDash([3, 3]); g.beginPath(); g.moveTo(x + .5, y0); g.lineTo(x + .5, y1);
    g.moveTo(x + w - .5, y0); g.lineTo(x + w - .5, y1); g.stroke(); g.setLineDash([]);
    const said = f.name + (f.name === f.kind ? "" : " (" + f.kind + ")") + ", " + f.where, at = Math.max(x, GUTTER) + 5;
    if (names && at > right) {
      g.fillStyle = theme.bad; g.font = theme.small; g.textAlign = "left"; g.fillText(said, at, y0 + 10);
      right = at + g.measureText(said).width + 8;
    }
  }
}

function drawLanes() {
  const g = canvas("lanes", scrollH), dy = printing ? 0 : $("scroll").scrollTop;
  clip(g, scrollH, dy);
  g.strokeStyle = theme.grid; g.beginPath();
  for (const t of ticks().list) { const x = Math.round(px(t)) + .5; g.moveTo(x, 0); g.lineTo(x, content); }
  g.stroke();
  drawBands(g, 0, content, true);
  const drawn = drawMessages(g);
  for (const l of lanes) drawLane(g, l);
  drawMarks(g);
  if (selected >= 0) drawFocus(g, selected, theme.accent, 2.5);
  if (hovered >= 0 && hovered !== selected) drawFocus(g, hovered, theme.ink, 2);
  g.restore();
  drawNames(g, dy);
  $("range").textContent = clock(view.a) + " – " + clock(view.b) + " · " + count(drawn) + " messages";
}

// A lane is a body with sessions, a line with events, and timers. Messages end at its edge and pass beneath it.
function drawLane(g, l) {
  g.fillStyle = theme.card; g.fillRect(GUTTER, l.top, width - GUTTER - RIGHT, l.bottom - l.top);
  g.fillStyle = theme.body; g.fillRect(GUTTER, l.top, width - GUTTER - RIGHT, l.bottom - l.top);
  for (const d of l.away || []) {
    if (d.end_ns < view.a || d.start_ns > view.b) continue;
    const x = px(d.start_ns), w = Math.max(1, px(d.end_ns) - x);
    g.fillStyle = theme.away; g.fillRect(x, l.top, w, l.bottom - l.top);
  }
  g.strokeStyle = theme.lane; g.beginPath(); g.moveTo(GUTTER, l.y + .5); g.lineTo(width - RIGHT, l.y + .5);
  if (l.outsider) g.setLineDash([2, 4]);
  g.stroke(); g.setLineDash([]);
  g.strokeStyle = theme.line; g.beginPath(); g.moveTo(GUTTER, l.top + .5); g.lineTo(width - RIGHT, l.top + .5);
  g.moveTo(GUTTER, l.bottom - .5); g.lineTo(width - RIGHT, l.bottom - .5); g.stroke();
  if (shown.sessions) for (const s of l.sessions) {
    if (s.end < view.a || s.start > view.b) continue;
    const x = Math.max(px(s.start), GUTTER - 4), e = Math.min(px(s.end), width - RIGHT), y = l.sessionY + s.track * l.bar, c = theme["s" + (s.number - 1) % 6];
    g.fillStyle = c; g.globalAlpha = .45; g.fillRect(x, y, Math.max(2, e - x), l.bar - (l.bar > 6 ? 2 : 1)); g.globalAlpha = 1;
    if (s.current >= 0) { const k = Math.max(x, px(s.current)); if (k < e) g.fillRect(k, y, Math.max(1.5, e - k), l.bar - (l.bar > 6 ? 2 : 1)); }
    g.fillStyle = theme.card; g.fillRect(x - .5, y, 1, l.bar - (l.bar > 6 ? 2 : 1));
    if (l.bar > 6) tag(g, "session " + s.number + (l.host && l.host.peers.length > 1 ? " · " + S[s.peer] : ""), Math.max(x, GUTTER), e, y + l.bar / 2 - .5, "#fff");
  }
  if (shown.timers) for (const t of l.timers) {
    if (t.end < view.a || t.start > view.b) continue;
    const x = Math.max(px(t.start), GUTTER - 4), e = Math.min(px(t.end), width - RIGHT), y = l.timerY + t.track * TIMER_BAR;
    if (e - x < .3 && !t.fired) continue;
    g.fillStyle = theme.warn; g.globalAlpha = t.fired ? .42 : .17; g.fillRect(x, y, Math.max(1, e - x), TIMER_BAR - 2);
    g.globalAlpha = 1;
    if (t.fired && e < width - RIGHT) g.fillRect(e - 1, y - 1, 2, TIMER_BAR);
    if (TIMER_BAR > 8) tag(g, S[C.why[t.row]], Math.max(x, GUTTER), e, y + TIMER_BAR / 2 - .5, theme.soft);
  }
  if (l.roams) l.moves.forEach((m, k) => {
    const next = l.moves[k + 1], x = px(m.at_ns), e = next ? px(next.at_ns) : width - RIGHT;
    if (e < GUTTER || x > width - RIGHT) return;
    g.strokeStyle = theme.roam; g.globalAlpha = .5; g.beginPath(); g.moveTo(x + .5, l.top + 3); g.lineTo(x + .5, l.top + 15); g.stroke(); g.globalAlpha = 1;
    tag(g, m.network, Math.max(x, GUTTER) + 1, e, l.top + 9, theme.roam);
  });
}
// tag writes a word into a span if there is room.
function tag(g, word, x, e, y, color) {
  if (e - x < 26) return;
  g.font = theme.tiny;
  if (g.measureText(word).width > e - x - 8) return;
  g.fillStyle = color; g.textAlign = "left"; g.fillText(word, x + 4, y + .5);
}

// sortOf says which switch of the legend a message hangs on.
function sortOf(i) {
  if (C.flag[i] & ATTACK) return "attack";
  if (isLost(i)) return "lost";
  const m = messageOf[C.kind[i]];
  return m < 3 ? "handshake" : m === 4 ? "keepalive" : "data";
}
const SORT_NAMES = ["handshake", "data", "keepalive", "lost", "attack"];
const sortCode = Uint8Array.from(lists.messages, i => SORT_NAMES.indexOf(sortOf(i)));
const ways = new Map(); // numbers for pairs of sender and receiver
const wayOf = Uint32Array.from(lists.messages, i => { const key = C.host[i] * 1048576 + C.peer[i]; if (!ways.has(key)) ways.set(key, ways.size); return ways.get(key); });
// geometry gives the ends of a message; one that came nowhere ends on the way, or in the air if nobody has its address.
function geometry(i) {
  const a = laneOf[C.host[i]], b = C.peer[i] ? laneOf[C.peer[i]] : -1, from = lanes[a], to = lanes[b], lost = isLost(i);
  if (!from) return null;
  const down = to && to !== from ? to.top > from.top : a < lanes.length - 1, y0 = down ? from.bottom : from.top;
  const x0 = px(C.at[i]), dur = Math.max(0, C.dur[i]), x1 = px(C.at[i] + dur);
  let y1 = to && to !== from ? down ? to.top : to.bottom : y0 + (down ? 22 : -22);
  if (lost) y1 = y0 + (S[C.fate[i]] === "unsent" ? Math.sign(y1 - y0) * 8 : (y1 - y0) * .62);
  return { x0, y0, x1, y1, lost };
}

const DETAILED = 1200;
function drawMessages(g) {
  const list = lists.messages, from = first(list, view.a - reach), to = first(list, view.b);
  const visible = to - first(list, view.a);
  if (to - from > DETAILED) drawDense(g, list, from, to); else drawEach(g, list, from, to);
  return visible;
}

// drawEach draws every message as the line that it is, with a head.
function drawEach(g, list, from, to) {
  const few = to - from < 400, faded = Math.max(.25, Math.min(.7, 250 / (to - from)));
  const crosses = [];
  for (let k = from; k < to; k++) {
    const i = list[k];
    if (!shown[sortOf(i)]) continue;
    const e = geometry(i);
    if (!e || e.x1 < GUTTER && e.x0 < GUTTER) continue;
    const c = theme[colorOf(i)], important = messageOf[C.kind[i]] < 3;
    g.globalAlpha = matches && !matches[i] ? .12 : important || e.lost ? 1 : few ? .8 : faded;
    g.strokeStyle = c; g.lineWidth = important ? 1.6 : 1;
    if (few && (C.flag[i] & ATTACK || e.lost)) g.setLineDash([4, 3]);
    g.beginPath(); g.moveTo(e.x0, e.y0); g.lineTo(e.x1, e.y1); g.stroke(); g.setLineDash([]);
    if (e.lost) crosses.push(e);
    else if (few || important) head(g, e, c);
  }
  g.globalAlpha = 1;
  g.strokeStyle = theme.bad; g.lineWidth = 1.6; g.beginPath();
  for (const e of crosses) cross(g, e.x1, e.y1);
  g.stroke(); g.lineWidth = 1;
}
function head(g, e, c) {
  const a = Math.atan2(e.y1 - e.y0, e.x1 - e.x0);
  g.fillStyle = c; g.beginPath(); g.moveTo(e.x1, e.y1);
  g.lineTo(e.x1 - 7 * Math.cos(a - .42), e.y1 - 7 * Math.sin(a - .42));
  g.lineTo(e.x1 - 7 * Math.cos(a + .42), e.y1 - 7 * Math.sin(a + .42)); g.fill();
}
function cross(g, x, y) { g.moveTo(x - 3, y - 3); g.lineTo(x + 3, y + 3); g.moveTo(x + 3, y - 3); g.lineTo(x - 3, y + 3); }

// drawDense draws one line for all messages of a sort that leave one lane for another at one column, the darker the more.
function drawDense(g, list, from, to) {
  // Messages come in the order of time, so the last line of each way and sort tells whether this column has one already.
  const crosses = new Set(), sorts = [...MESSAGES, "bad"], last = new Int32Array(ways.size * 7).fill(-1e9), slot = new Int32Array(ways.size * 7);
  const rows = [], counts = [], kinds = [], on = SORT_NAMES.map(s => shown[s]), scale = (width - GUTTER - RIGHT) / (view.b - view.a);
  for (let k = from; k < to; k++) {
    const i = list[k];
    if (!on[sortCode[k]] || matches && !matches[i]) continue;
    const x = Math.floor((C.at[i] - view.a) * scale), sort = sortCode[k] === 3 ? 6 : sortCode[k] === 4 ? 5 : messageOf[C.kind[i]], key = wayOf[k] * 7 + sort;
    if (last[key] === x) { counts[slot[key]]++; continue; }
    last[key] = x; slot[key] = rows.length; rows.push(i); counts.push(1); kinds.push(sort);
  }
  const buckets = new Map();
  for (let r = 0; r < rows.length; r++) {
    const level = kinds[r] < 3 || kinds[r] === 6 ? 3 : counts[r] > 12 ? 2 : counts[r] > 2 ? 1 : 0, key = kinds[r] * 4 + level;
    if (!buckets.has(key)) buckets.set(key, []);
    buckets.get(key).push(rows[r]);
  }
  for (const key of [...buckets.keys()].sort((a, b) => order(a) - order(b))) {
    const sort = key >> 2, level = key & 3;
    g.strokeStyle = theme[sorts[sort]]; g.globalAlpha = [.2, .34, .55, .9][level]; g.lineWidth = sort < 3 ? 1.4 : 1;
    g.beginPath();
    for (const i of buckets.get(key)) {
      const e = geometry(i);
      if (!e) continue;
      g.moveTo(e.x0, e.y0); g.lineTo(e.x1, e.y1);
      if (e.lost) crosses.add(Math.round(e.x1 / 3) * 65536 + Math.round(e.y1));
    }
    g.stroke();
  }
  g.globalAlpha = 1; g.strokeStyle = theme.bad; g.lineWidth = 1.4; g.beginPath();
  for (const c of crosses) cross(g, Math.floor(c / 65536) * 3, c % 65536);
  g.stroke(); g.lineWidth = 1;
}
const order = key => { const s = key >> 2; return s === 3 ? 0 : s === 4 ? 1 : s === 5 ? 2 : s === 6 ? 4 : 3; };

// GLYPHS are the events of a core that are worth a sign on its lane: what and how urgent.
const GLYPHS = { "handshake-complete": ["diamond", "good"], "gave-up": ["cross", "bad"], roamed: ["circle", "roam"], "keys-zeroed": ["square", "soft"],
  suppressed: ["tick", "warn"], "cookie-accepted": ["ring", "warn"], load: ["square", "warn"], clock: ["cross", "bad"], action: ["flag", "roam"],
  violation: ["star", "bad"], drop: ["cross", "bad"], "inner-refused": ["ring", "bad"] };
const glyphOf = S.map(s => GLYPHS[s] || null);
function drawMarks(g) {
  if (!shown.core) return;
  const list = lists.marks, to = first(list, view.b + 1), seen = new Set();
  for (let k = first(list, view.a); k < to; k++) {
    const i = list[k], s = glyphOf[C.kind[i]], l = lanes[laneOf[C.host[i]]];
    if (!s) continue;
    const x = px(C.at[i]), y = l ? l.y : 8, key = Math.round(x / 2) + "/" + y + s[0] + s[1];
    if (seen.has(key)) continue;
    seen.add(key);
    g.globalAlpha = matches && !matches[i] ? .15 : 1;
    glyph(g, s[0], x, y, theme[s[1]]);
  }
  g.globalAlpha = 1;
}
function glyph(g, shape, x, y, c) {
  g.fillStyle = c; g.strokeStyle = theme.card; g.lineWidth = 1.2; g.beginPath();
  switch (shape) {
    case "diamond": g.moveTo(x, y - 6); g.lineTo(x + 5, y); g.lineTo(x, y + 6); g.lineTo(x - 5, y); g.closePath(); break;
    case "circle": g.arc(x, y, 4.2, 0, 7); break;
    case "square": g.rect(x - 3.5, y - 3.5, 7, 7); break;
    case "tick": g.fillRect(x - .7, y - 4, 1.4, 8); return;
    case "flag": g.rect(x - .8, y - 13, 1.6, 14); g.moveTo(x, y - 13); g.lineTo(x + 9, y - 10); g.lineTo(x, y - 7); break;
    case "star": for (let k = 0; k < 10; k++) { const r = k % 2 ? 3 : 8, a = k * Math.PI / 5; g.lineTo(x + r * Math.sin(a), y - r * Math.cos(a)); } g.closePath(); break;
    case "ring": g.strokeStyle = c; g.lineWidth = 2; g.fillStyle = theme.card; g.arc(x, y, 3.6, 0, 7); break;
    case "cross": g.strokeStyle = c; g.lineWidth = 2.2; cross(g, x, y); break;
  }
  g.fill(); g.stroke(); g.lineWidth = 1;
}

function drawFocus(g, i, color, w) {
  g.strokeStyle = color; g.lineWidth = w;
  if (messageOf[C.kind[i]] >= 0) {
    const e = geometry(i);
    if (!e) return;
    g.beginPath(); g.moveTo(e.x0, e.y0); g.lineTo(e.x1, e.y1); g.stroke();
    g.fillStyle = color; g.beginPath(); g.arc(e.x0, e.y0, w + 1.2, 0, 7); g.fill();
    if (!e.lost) head(g, e, color);
  } else {
    const l = lanes[laneOf[C.host[i]]], x = px(C.at[i]);
    g.beginPath(); g.arc(x, l ? l.y : 8, 9, 0, 7); g.stroke();
    if (C.dur[i] > 0) {
      const o = lanes[laneOf[C.peer[i]]];
      g.beginPath(); g.moveTo(x, l.y);
      g.lineTo(px(C.at[i] + C.dur[i]), C.kind[i] === kPacket && o ? o.y : l.y); g.stroke(); // l: only hosts have such events
    }
  }
  g.lineWidth = 1;
}

function drawNames(g, dy) {
  g.fillStyle = theme.card; g.fillRect(0, 0, GUTTER - 6, scrollH);
  g.textAlign = "left";
  for (const l of lanes) {
    const y = l.y - dy;
    if (y < -30 || y > scrollH + 30) continue;
    g.fillStyle = l.outsider ? theme.junk : theme.ink; g.font = theme.bold; g.fillText(short(g, l.name), 14, y - 6);
    g.fillStyle = theme.faint; g.font = theme.small; g.fillText(short(g, l.sub), 14, y + 8);
  }
}
function short(g, s) {
  while (s.length > 2 && g.measureText(s).width > GUTTER - 24) s = s.slice(0, -2) + "…";
  return s;
}
