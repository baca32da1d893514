// The data: columns of numbers of variable length, and what follows from them.
const $ = id => document.getElementById(id);
const D = JSON.parse($("data").textContent);
const S = D.strings, N = D.rows, END = Math.max(D.head.duration_ns, D.result.virtual_ns, 1);
const code = new Map(S.map((s, i) => [s, i]));
const K = name => code.has(name) ? code.get(name) : -1;

// column reads numbers, lowest seven bits first; beyond 32 bits shifting would cut them, so they are multiplied.
function column(name, Type) {
  const text = atob(D.columns[name]), out = new Type(N);
  for (let i = 0, p = 0; i < N; i++) {
    let b = text.charCodeAt(p++), v = b & 127, f = 128;
    while (b > 127) { b = text.charCodeAt(p++); v += (b & 127) * f; f *= 128; }
    out[i] = v;
  }
  D.columns[name] = "";
  return out;
}
const C = { kind: Uint32Array, host: Uint32Array, peer: Uint32Array, fate: Uint32Array, why: Uint32Array, note: Uint32Array,
  src: Uint32Array, dst: Uint32Array, size: Uint32Array, flag: Uint8Array, id: Float64Array, at: Float64Array,
  dur: Float64Array, m: Float64Array, n: Float64Array, q: Float64Array };
for (const name in C) C[name] = column(name, C[name]);
for (let i = 0, id = 0, at = 0; i < N; i++) {
  const z = C.id[i];
  id += z % 2 ? -(z + 1) / 2 : z / 2;
  at += C.at[i];
  C.id[i] = id; C.at[i] = at; C.dur[i] -= 1;
}
const DAMAGED = 1, ATTACK = 2, ONLY = 4, INITIATOR = 8, TIMER = 16;

// Sorts of rows, which the legend turns on and off.
const MESSAGES = ["initiation", "response", "cookie-reply", "transport", "keepalive", "junk"];
const messageOf = new Int8Array(S.length).fill(-1);
MESSAGES.forEach((m, i) => { if (K(m) >= 0) messageOf[K(m)] = i; });
const kTimer = K("timer"), kPacket = K("packet"), kSlot = K("key-slot"), kAction = K("action"), kViolation = K("violation");
const fDelivered = K("delivered"), fRejected = K("rejected"), fFired = K("fired"), fPending = K("pending");
// What was under way when the run ended has no fate, or says so.
const isLost = i => C.fate[i] !== 0 && C.fate[i] !== fDelivered && C.fate[i] !== fRejected && C.fate[i] !== fPending;
const lists = { messages: [], marks: [], timers: [], packets: [] };
let reach = 0;
for (let i = 0; i < N; i++) {
  const k = C.kind[i];
  if (messageOf[k] >= 0) { lists.messages.push(i); reach = Math.max(reach, C.dur[i]); }
  else if (k === kTimer) lists.timers.push(i);
  else if (k === kPacket) lists.packets.push(i);
  else lists.marks.push(i);
}
for (const l in lists) lists[l] = Uint32Array.from(lists[l]);

// first gives the first place in a list of rows whose time is not before t.
function first(list, t) {
  let a = 0, b = list.length;
  while (a < b) { const m = (a + b) >> 1; if (C.at[list[m]] < t) a = m + 1; else b = m; }
  return a;
}

// Lanes: the hosts, and below them whoever else sent something.
const lanes = D.hosts.map(h => ({ name: h.name, sub: h.network, host: h }));
const laneOf = new Int32Array(S.length).fill(-1);
lanes.forEach((l, i) => { if (K(l.name) >= 0) laneOf[K(l.name)] = i; });
for (const i of lists.messages) {
  const h = C.host[i];
  if (h && laneOf[h] < 0) { laneOf[h] = lanes.length; lanes.push({ name: S[h], sub: "attacker", outsider: true }); }
}

// Sessions: a key pair lies in a slot of a host from its derivation until it is dropped; both ends have the two indices.
const sessions = [];
const numbers = new Map();
(() => {
  const live = new Map(), count = new Map(), none = K("none");
  const close = (s, at) => { s.end = at; live.delete(s.key); };
  for (const i of lists.marks) {
    const h = C.host[i], p = C.peer[i];
    if (C.kind[i] === kSlot) {
      const key = h + "/" + p + "/" + C.m[i];
      let s = live.get(key);
      if (C.note[i] === none) { if (s) close(s, C.at[i]); continue; }
      if (!s) {
        const ours = h < p, pair = (ours ? [h, p, C.m[i], C.n[i]] : [p, h, C.n[i], C.m[i]]).join("/");
        const tunnel = ours ? h + "/" + p : p + "/" + h;
        if (!numbers.has(pair)) { count.set(tunnel, (count.get(tunnel) || 0) + 1); numbers.set(pair, count.get(tunnel)); }
        s = { key, row: i, host: h, peer: p, start: C.at[i], current: -1, end: END, open: true, number: numbers.get(pair) };
        live.set(key, s); sessions.push(s);
      }
      if (S[C.note[i]] === "current" && s.current < 0) s.current = C.at[i];
    } else if (C.kind[i] === kAction && S[C.why[i]] === "restart") {
      for (const s of [...live.values()]) if (s.host === h) close(s, C.at[i]);
    } else if (S[C.kind[i]] === "keys-zeroed") {
      for (const s of [...live.values()]) if (s.host === h && s.peer === p) close(s, C.at[i]);
    }
  }
})();

// pack puts spans of one lane into as few tracks as they need, and gives how many.
function pack(list, most) {
  const ends = [];
  for (const s of list) {
    let t = ends.findIndex(e => e <= s.start);
    if (t < 0) t = ends.length < most ? ends.length : most - 1;
    ends[t] = Math.max(ends[t] || 0, s.end); s.track = t;
  }
  return ends.length;
}
const timers = Array.from(lists.timers, i => ({ row: i, host: C.host[i], peer: C.peer[i], start: C.at[i],
  end: C.dur[i] < 0 ? END : C.at[i] + C.dur[i], fired: C.fate[i] === fFired }));
for (const l of lanes) {
  const k = K(l.name);
  l.sessions = sessions.filter(s => s.host === k); l.timers = timers.filter(s => s.host === k);
  l.sessions.sort((a, b) => a.start - b.start);
  l.sessionTracks = pack(l.sessions, 60); l.timerTracks = pack(l.timers, 24);
}
for (const m of D.moves) { const l = lanes[laneOf[K(m.host)]]; if (l) (l.moves = l.moves || []).push(m); }
for (const d of D.result.disturbances) {
  const l = d.host && lanes[laneOf[K(d.host)]];
  if (l && d.end_ns > d.start_ns) (l.away = l.away || []).push(d);
}

// Words.
const pad = (n, w) => String(n).padStart(w, "0");
function clock(ns, digits = 3) {
  const ms = Math.floor(ns / 1e6), s = Math.floor(ms / 1000), h = Math.floor(s / 3600);
  const head = (h ? h + ":" : "") + pad(Math.floor(s / 60) % 60, 2) + ":" + pad(s % 60, 2);
  if (!digits) return head;
  return head + "." + pad(Math.floor(ns / 10 ** (9 - digits)) % 10 ** digits, digits);
}
function span(ns) {
  if (ns < 1e3) return Math.round(ns) + " ns";
  if (ns < 1e6) return +(ns / 1e3).toPrecision(3) + " µs";
  if (ns < 1e9) return +(ns / 1e6).toPrecision(3) + " ms";
  if (ns < 100e9) return +(ns / 1e9).toPrecision(3) + " s";
  return Math.floor(ns / 60e9) + " min " + pad(Math.round(ns / 1e9) % 60, 2) + " s";
}
const count = n => Number(n).toLocaleString("en-US");
function size(n) {
  for (const [u, f] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) if (n >= f) return (n / f).toFixed(n < 100 * f ? 1 : 0) + " " + u;
  return Math.round(n) + " B";
}
const hex = n => "0x" + n.toString(16).padStart(8, "0");
const label = i => (C.flag[i] & TIMER ? "t" : "") + C.id[i];
function findRow(name) {
  const timer = name.startsWith("t"), id = Number(timer ? name.slice(1) : name);
  for (let i = 0; i < N; i++) if (C.id[i] === id && !!(C.flag[i] & TIMER) === timer) return i;
  return -1;
}

const TITLES = { "key-slot": "key pair moves", "packet": "inner packet", "inner-refused": "no way for a packet", "timer": "timer",
  "transport": "data", "cookie-reply": "cookie reply", "drop": "packet refused", "start": "the run starts", "end": "the run ends" };
function title(i) {
  const k = S[C.kind[i]];
  if (k === "action") return S[C.why[i]].replaceAll("-", " ");
  if (k === "violation") return "BROKEN: " + S[C.why[i]];
  if (k === "timer") return "timer " + S[C.why[i]] + (S[C.fate[i]] ? " " + S[C.fate[i]] : "");
  if (k === "load") return C.flag[i] & INITIATOR ? "under load" : "load is over";
  const m = messageOf[C.kind[i]] >= 0, end = !m ? "" : isLost(i) ? " lost" : C.fate[i] === fRejected ? " refused" : "";
  return (C.flag[i] & ATTACK ? "attack: " + S[C.note[i]] : TITLES[k] || k.replaceAll("-", " ")) + end;
}
function ends(i) {
  const p = S[C.peer[i]];
  return S[C.host[i]] + (p ? " → " + p : messageOf[C.kind[i]] >= 0 ? " → " + S[C.dst[i]] : "");
}
function outcome(i) {
  const fate = S[C.fate[i]], why = S[C.why[i]];
  if (fate === "delivered") return "arrived after " + span(C.dur[i]);
  if (fate === "rejected") return "refused: " + why + (C.flag[i] & ATTACK ? "" : " (" + S[C.note[i]] + ")");
  if (fate === "pending" || fate === "") return "under way when the run ended";
  return fate + ": " + why;
}
function text(i) {
  const k = C.kind[i], name = S[k];
  if (messageOf[k] >= 0) return ends(i) + ", " + count(C.size[i]) + " B, " + outcome(i);
  if (name === "packet") return ends(i) + ", " + S[C.why[i]] + " #" + C.n[i] +
    (C.dur[i] < 0 ? ", never came out" : ", came out after " + span(C.dur[i]));
  if (name === "timer") return ends(i) + (C.m[i] ? ", reset " + count(C.m[i]) + " times" : "") +
    (C.dur[i] < 0 ? ", still running at the end" : ", after " + span(C.dur[i]));
  if (name === "key-slot") return ends(i) + ": " + S[C.why[i]] + " → " + S[C.note[i]];
  if (name === "roamed") return ends(i) + ": " + (S[C.dst[i]] ? S[C.dst[i]] + " → " : "is at ") + S[C.src[i]];
  if (name === "action" || name === "start") return S[C.note[i]] || S[C.host[i]];
  const why = S[C.why[i]], note = S[C.note[i]];
  if (name === "initiation-sent") return ends(i) + (C.q[i] ? ", attempt " + (C.q[i] + 1) : "") + ": " + (note || why);
  return ends(i) + (note || why ? ": " + (name === "drop" || name === "inner-refused" ? why + " (" + note + ")" : note || why) : "");
}
function colorOf(i) {
  const k = C.kind[i], m = messageOf[k];
  if (m >= 0) return isLost(i) ? "bad" : C.flag[i] & ATTACK ? "junk" : MESSAGES[m];
  switch (S[k]) {
    case "action": case "roamed": return "roam";
    case "violation": case "gave-up": case "drop": case "inner-refused": case "clock": return "bad";
    case "handshake-complete": case "response-accepted": case "response-sent": return "good";
    case "initiation-sent": case "initiation-accepted": return "initiation";
    case "keepalive-sent": case "keepalive-received": return "keepalive";
    case "load": case "suppressed": case "cookie-sent": case "cookie-accepted": return "warn";
  }
  return "lane";
}
