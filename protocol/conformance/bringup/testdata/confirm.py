#!/usr/bin/env python3
"""Computes every vector of `wgconform vectors --json` again, with hashlib, hmac and the package cryptography.

    wgconform vectors --json | python3 confirm.py           compares
    wgconform vectors --json | python3 confirm.py --damage  shows that each value is compared: changes one at a time in
                                                            every valid vector, and wants a complaint each time
"""
import copy
import hashlib
import hmac
import json
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ZEROS = bytes(32)


def h(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def hm(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.blake2s).digest()


def kdf(key, data):
    t0 = hm(key, data)
    t1 = hm(t0, b"\1")
    t2 = hm(t0, t1, b"\2")
    return t1, t2, hm(t0, t2, b"\3")


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def dh(private, point):
    """Zeros for what has to be refused."""
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:
        return ZEROS


def nonce(counter):
    return bytes(4) + struct.pack("<Q", counter)


def seal(key, counter, plain, ad):
    return ChaCha20Poly1305(key).encrypt(nonce(counter), plain, ad)


def unseal(key, number, text, ad):
    """None for what does not authenticate."""
    try:
        return ChaCha20Poly1305(key).decrypt(number, text, ad)
    except InvalidTag:
        return None


def hchacha20(key, head):
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + head))

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            v = s[z] ^ s[x]
            s[z] = (v << n | v >> (32 - n)) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *(s[:4] + s[12:]))


def xopen(key, number, text, ad):
    return unseal(hchacha20(key, number[:16]), bytes(4) + number[16:], text, ad)


class Schedule:
    """The key schedule of paper §5.4, with the values of each step."""

    def __init__(self, responder):
        self.steps = {}
        self.c = h(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
        self.h = h(self.c, b"WireGuard v1 zx2c4 Jason@zx2c4.com")
        self.note("start", C=self.c, h=self.h)
        self.h = h(self.h, responder)
        self.note("responder", h=self.h)

    def note(self, step, **values):
        self.steps[step] = values

    def ephemeral(self, step, key):
        self.c = kdf(self.c, key)[0]
        self.h = h(self.h, key)
        self.note(step, C=self.c, h=self.h)

    def product(self, step, value, keyed):
        if value == ZEROS:
            raise Refused("product")
        self.c, self.k, _ = kdf(self.c, value)
        self.note(step, dh=value, C=self.c, **({"k": self.k} if keyed else {}))

    def psk(self, key):
        self.c, tau, self.k = kdf(self.c, key)
        self.h = h(self.h, tau)
        self.note("psk", C=self.c, tau=tau, k=self.k, h=self.h)

    def field(self, step, text):
        plain, ad = unseal(self.k, nonce(0), text, self.h), self.h
        if plain is None:
            raise Refused("static" if step == "static" else step)
        self.h = h(self.h, text)
        self.note(step, nonce=nonce(0), ad=ad, plain=plain, field=text, h=self.h)
        return plain


class Refused(Exception):
    pass


def initiation(private, message, peers):
    """Reads it as its receiver would and gives the schedule, the static key and the timestamp."""
    if len(message) != 148:
        raise Refused("length")
    if message[:4] != b"\1\0\0\0":
        raise Refused("type")
    own = public(private)
    if mac(h(b"mac1----", own), message[:116]) != message[116:132]:
        raise Refused("mac1")
    s = Schedule(own)
    s.ephemeral("e", message[8:40])
    s.product("es", dh(private, message[8:40]), True)
    static = s.field("static", message[40:88])
    if static not in peers:
        raise Refused("peer")
    s.product("ss", dh(private, static), True)
    return s, static, s.field("timestamp", message[88:116])


def response(s, private, ephemeral, psk, index, message):
    """Reads it as the initiator would, with the schedule of the initiation."""
    if len(message) != 92 or message[:4] != b"\2\0\0\0":
        raise Refused("length")
    if mac(h(b"mac1----", public(private)), message[:60]) != message[60:76]:
        raise Refused("mac1")
    if message[8:12] != index:
        raise Refused("index")
    s.ephemeral("e2", message[12:44])
    s.product("ee", dh(ephemeral, message[12:44]), False)
    s.product("se", dh(private, message[12:44]), False)
    s.psk(psk)
    if s.field("empty", message[44:60]) != b"":
        raise Refused("empty")
    t1, t2, _ = kdf(s.c, b"")
    s.note("transport", T1=t1, T2=t2)
    return t1, t2


def check_handshake(t):
    pairs = {}
    for name in ("initiatorStatic", "responderStatic", "initiatorEphemeral", "responderEphemeral"):
        pairs[name] = b(t[name]["private"])
        given = b(t[name]["public"])
        if t["rules"] == ["CRYPTO-10"] and name == "initiatorEphemeral":
            given = given[:31] + bytes([given[31] & 0x7F])
        yield name, public(pairs[name]), given
    one, two = b(t["initiation"]), b(t["response"])
    yield "initiatorEphemeral in the message", one[8:40], b(t["initiatorEphemeral"]["public"])
    yield "responderEphemeral in the message", two[12:44], b(t["responderEphemeral"]["public"])
    s, static, stamp = initiation(pairs["responderStatic"], one, [b(t["initiatorStatic"]["public"])])
    yield "static", static, b(t["initiatorStatic"]["public"])
    yield "responderStatic", public(pairs["responderStatic"]), b(t["responderStatic"]["public"])
    yield "timestamp", stamp, b(t["timestamp"])
    yield "initiatorIndex", one[4:8], struct.pack("<I", t["initiatorIndex"])
    yield "responderIndex", two[4:8], struct.pack("<I", t["responderIndex"])
    yield "mac2", one[132:] + two[76:], ZEROS
    t1, t2 = response(s, pairs["initiatorStatic"], pairs["initiatorEphemeral"], b(t["psk"]), one[4:8], two)
    # The products again from the other end.
    yield "es", dh(pairs["initiatorEphemeral"], b(t["responderStatic"]["public"])), s.steps["es"]["dh"]
    yield "ss", dh(pairs["initiatorStatic"], b(t["responderStatic"]["public"])), s.steps["ss"]["dh"]
    yield "ee", dh(pairs["responderEphemeral"], one[8:40]), s.steps["ee"]["dh"]
    yield "se", dh(pairs["responderEphemeral"], static), s.steps["se"]["dh"]
    yield "names of the steps", [x["step"] for x in t["steps"]], list(s.steps)
    for step in t["steps"]:
        values = {k: b(v) for k, v in step.items() if k not in ("step", "formula")}
        want = s.steps[step["step"]]
        yield step["step"], values, {k: v for k, v in want.items() if v != b"" or k in values}
    for m in t["transport"]:
        key, to = (t1, two[4:8]) if m["from"] == "initiator" else (t2, one[4:8])
        inner = b(m["inner"])
        plain = inner + bytes(-len(inner) % 16)
        yield "plain", plain, b(m["plain"])
        number = int(m["counter"])
        yield "message", b"\4\0\0\0" + to + struct.pack("<Q", number) + seal(key, number, plain, b""), b(m["message"])


def outcome(t, read):
    """What a reader says: valid, or where it stops."""
    try:
        read()
    except Refused as r:
        return "result", ("invalid", str(r)), (t["result"], t.get("fault"))
    return "result", ("valid", None), (t["result"], t.get("fault"))


def check_initiation(t):
    message = b(t["message"])
    yield outcome(t, lambda: initiation(b(t["responderPrivate"]), message, [b(t["peerPublic"])]))


def check_response(t):
    private, ephemeral, one = b(t["initiatorPrivate"]), b(t["initiatorEphemeral"]), b(t["initiation"])
    s = Schedule(b(t["responderPublic"]))
    yield "ephemeral", public(ephemeral), one[8:40]
    s.ephemeral("e", one[8:40])
    s.product("es", dh(ephemeral, b(t["responderPublic"])), True)
    yield "static", s.field("static", one[40:88]), public(private)
    s.product("ss", dh(private, b(t["responderPublic"])), True)
    s.field("timestamp", one[88:116])
    yield "macs of the initiation", mac(h(b"mac1----", b(t["responderPublic"])), one[:116]) + bytes(16), one[116:]
    yield "type of the initiation", one[:4], b"\1\0\0\0"
    yield outcome(t, lambda: response(s, private, ephemeral, b(t["psk"]), one[4:8], b(t["message"])))


def verdict(t, ok):
    return "result", "valid" if ok else "invalid", t["result"]


def check_transport(t):
    head = b"\4\0\0\0" + struct.pack("<IQ", t["receiver"], int(t["counter"]))
    made = head + seal(b(t["key"]), int(t["counter"]), b(t["plain"]), b"")
    yield verdict(t, made == b(t["message"]))


def check_kdf(t):
    key, data = b(t["key"]), b(t["input"])
    yield "outputs", (hm(key, data),) + kdf(key, data), tuple(b(t[n]) for n in ("t0", "t1", "t2", "t3"))


def check_hmac(t):
    yield "mac", hm(b(t["key"]), b(t["message"])), b(t["mac"])


def check_keyed(t):
    yield verdict(t, mac(b(t["key"]), b(t["message"])) == b(t["mac"]))


def check_mac1(t):
    key = h(b"mac1----", b(t["receiverPublic"]))
    yield "key", key, b(t["key"])
    yield verdict(t, mac(key, b(t["message"])) == b(t["mac1"]))


def check_mac2(t):
    yield verdict(t, mac(b(t["cookie"]), b(t["message"])) == b(t["mac2"]))


def check_cookie(t):
    key, message = h(b"cookie--", b(t["issuerPublic"])), b(t["message"])
    yield "key", key, b(t["key"])
    yield "header", b"\3\0\0\0" + struct.pack("<I", t["receiver"]), message[:8]
    if t["result"] == "valid":
        yield "nonce", b(t["nonce"]), message[8:32]
    yield verdict(t, xopen(key, message[8:32], message[32:], b(t["mac1"])) == b(t["cookie"]))


def check_aead(t):
    yield verdict(t, unseal(b(t["key"]), b(t["nonce"]), b(t["sealed"]), b(t["ad"])) == b(t["plain"]))


def check_xaead(t):
    yield verdict(t, xopen(b(t["key"]), b(t["nonce"]), b(t["sealed"]), b(t["ad"])) == b(t["plain"]))


def check_product(t):
    shared = dh(b(t["private"]), b(t["public"]))
    yield "shared", shared, b(t["shared"])
    yield verdict(t, shared != ZEROS)


def check_tai64n(t):
    yield "timestamp", struct.pack(">QI", 2**62 + 10 + t["unixSeconds"], t["nanoseconds"]), b(t["timestamp"])


CHECKS = {
    "handshake": check_handshake, "initiation": check_initiation, "response": check_response,
    "transport": check_transport, "kdf": check_kdf, "hmac-blake2s": check_hmac, "keyed-blake2s": check_keyed,
    "mac1": check_mac1, "mac2": check_mac2, "cookie-reply": check_cookie, "aead": check_aead, "xaead": check_xaead,
    "x25519": check_product, "tai64n": check_tai64n,
}


def b(text):
    return bytes.fromhex(text)


def complaint(kind, t):
    """What is wrong with a vector; None: nothing."""
    try:
        for name, want, got in CHECKS[kind](t):
            if want != got:
                return f"{name}: computed {want!r}, given {got!r}"
    except Refused as r:
        return f"it is refused at its {r}"
    return None


def leaves(value, path=()):
    """Paths of all values but words."""
    if isinstance(value, dict):
        for k, v in value.items():
            if k not in ("comment", "rules", "tcId", "formula", "step", "from", "result", "fault"):
                yield from leaves(v, path + (k,))
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from leaves(v, path + (i,))
    elif value != "":
        yield path


def damaged(t, path):
    t = copy.deepcopy(t)
    place = t
    for p in path[:-1]:
        place = place[p]
    value = place[path[-1]]
    if isinstance(value, int):
        place[path[-1]] = value ^ 1
    elif path[-1] == "counter":
        place[path[-1]] = str(int(value) ^ 1)
    else:
        raw = bytearray(b(value))
        raw[len(raw) // 2] ^= 0x10
        place[path[-1]] = raw.hex()
    return t


def main():
    doc = json.load(sys.stdin)
    count, bad, changes = 0, [], 0
    for group in doc["testGroups"]:
        for t in group["tests"]:
            count += 1
            if t["tcId"] != count:
                bad.append(f"{t['tcId']}: not in order")
            if "--damage" not in sys.argv:
                why = complaint(group["type"], t)
                if why:
                    bad.append(f"{t['tcId']} ({group['type']}): {why}")
            elif t["result"] == "valid":
                for path in leaves(t):
                    changes += 1
                    if not complaint(group["type"], damaged(t, path)):
                        bad.append(f"{t['tcId']} ({group['type']}): nobody notices a change of {path}")
    if count != doc["numberOfTests"]:
        bad.append(f"{count} tests, {doc['numberOfTests']} are promised")
    for line in bad:
        print(line)
    print(f"{count} vectors, {changes} changes, {len(bad)} complaints")
    return 1 if bad else 0


sys.exit(main())
