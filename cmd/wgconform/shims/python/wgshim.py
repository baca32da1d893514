#!/usr/bin/env python3
"""A shim (docs/SHIM.md) of tinywg.py: wgconform run --target 'shim:python3 cmd/wgconform/shims/python/wgshim.py'"""
import json, sys
import tinywg

LACKS = {"interface": "its key and port never change", "restart": "open another", "state": "it does not tell",
         "uapi": "it has no configuration socket", "wall": "its clock starts right and stays so",
         "load": "it has no queue", "work": "it has no queue", "tos": "it gives payloads only",
         "addresses": "its host has two for ever"}
HELLO = {"protocol": 1, "name": "tinywg", "version": "1", "layer": "library", "kind": "exact",
         "capabilities": ["inner", "configure", "ipv6", "sources", "seed"], "lacks": LACKS}
devices = {}

def answer(r):
    op, name = r["op"], r.get("instance")
    if op == "hello": return HELLO
    if op not in ("open", "close", "advance", "datagrams", "packets", "configure"):
        return {"unsupported": LACKS.get(op, f"there is no op {op}")}
    if (op == "open") == (name in devices): raise ValueError(f"instance {name}: there is one, or there is none")
    if op == "open": devices[name] = tinywg.Device(r)
    if op == "close": return devices.pop(name) and {}
    d = devices[name]
    at = r.get("until" if op == "advance" else "at", d.now)
    if at < d.now: raise ValueError(f"{at} is before now, {d.now}")
    # Everything that can be wrong with the request is found before time passes.
    datagrams = [(bytes.fromhex(g["bytes"]), g["remote"]) for g in r.get("datagrams", [])]
    packets = [bytes.fromhex(p) for p in r.get("packets", [])]
    change = r.get("change", {})
    if change.keys() - {"peers"}: return {"unsupported": LACKS["interface"]}
    d.advance(at, r.get("pause"))
    for message, remote in datagrams: d.datagram(message, remote)
    for packet in packets: d.packet(packet)
    d.configure(change)
    outputs, d.out = d.out, []
    return {"now": d.now, "outputs": outputs, "deadline": d.deadline()}

for line in sys.stdin:
    request = {}
    try:
        request = json.loads(line)
        reply = answer(request)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        reply = {"error": f"{type(e).__name__}: {e}"}
    known = request.get("id", 0) if isinstance(request, dict) else 0
    print(json.dumps({"id": known, **reply}), flush=True)
