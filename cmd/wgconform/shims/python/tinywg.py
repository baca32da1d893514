"""A small WireGuard that is told what time it is, for Python 3.9 with the package cryptography. It is the example
behind wgshim.py, not a tunnel: nothing is wiped, it is never under load, and no prefix is longer than another."""
import hashlib, hmac, ipaddress, random, struct
from types import SimpleNamespace as Record
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey as Private, X25519PublicKey as Public
from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms
S = 10**9  # a second
def digest(*parts): return hashlib.blake2s(b"".join(parts)).digest()
def mac(key, data): return hashlib.blake2s(data, key=key, digest_size=16).digest()
def seal(key, n, plain, ad=b""): return aead.ChaCha20Poly1305(key).encrypt(struct.pack("<IQ", 0, n), plain, ad)
def unseal(key, n, data, ad=b""): return aead.ChaCha20Poly1305(key).decrypt(struct.pack("<IQ", 0, n), data, ad)
def dh(private, public): return Private.from_private_bytes(private).exchange(Public.from_public_bytes(public))
def public_of(private): return dh(private, b"\t" + bytes(31))
def kdf(key, data):
    secret, last = hmac.new(key, data, hashlib.blake2s).digest(), b""
    return [last := hmac.new(secret, last + bytes([i]), hashlib.blake2s).digest() for i in (1, 2, 3)]
def xunseal(key, nonce, data, ad):  # XChaCha20-Poly1305: HChaCha20 is a block of ChaCha20 less its input
    block = struct.unpack("<16I", Cipher(algorithms.ChaCha20(key, nonce[:16]), None).encryptor().update(bytes(64)))
    start = struct.unpack("<4I", b"expand 32-byte k") + (0,) * 8 + struct.unpack("<4I", nonce[:16])
    words = [(block[i] - start[i]) % 2**32 for i in (0, 1, 2, 3, 12, 13, 14, 15)]
    return aead.ChaCha20Poly1305(struct.pack("<8I", *words)).decrypt(bytes(4) + nonce[16:], data, ad)

class Noise:
    def __init__(self, responder):
        self.c = digest(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
        self.h = digest(digest(self.c, b"WireGuard v1 zx2c4 Jason@zx2c4.com"), responder)
    def mix(self, *secrets):
        for secret in secrets: self.c, self.k, _ = kdf(self.c, secret)
    def ephemeral(self, e): self.mix(e); self.h = digest(self.h, e)
    def psk(self, psk): self.c, t, self.k = kdf(self.c, psk); self.h = digest(self.h, t)
    def put(self, plain): b = seal(self.k, 0, plain, self.h); self.h = digest(self.h, b); return b
    def get(self, data): p = unseal(self.k, 0, data, self.h); self.h = digest(self.h, data); return p
    def session(self, initiator, local, remote, now):
        send, recv = kdf(self.c, b"")[:2][::1 if initiator else -1]
        return Record(send=send, recv=recv, initiator=initiator, local=local, remote=remote, made=now, next=0, seen=set())
class Device:
    def __init__(self, r):  # the request open
        self.now, self.random, self.peers, self.out = 0, random.Random(r["seed"]), {}, []
        self.private, self.wall = bytes.fromhex(r["config"]["privateKey"]), r["wall"]["s"] * S + r["wall"]["ns"]
        self.public, self.port = public_of(self.private), r["config"]["listenPort"]
        self.local4, self.local6 = r["local4"].split("/")[0], "[" + r["local6"].split("/")[0] + "]"
        self.configure(r["config"])
    def configure(self, change):
        for p in change.get("peers", []):
            key = bytes.fromhex(p["publicKey"])
            if p.get("remove") or p.get("updateOnly") and key not in self.peers: self.peers.pop(key, None); continue
            q = self.peers.setdefault(key, Record(public=key, psk=bytes(32), endpoint=None, keepalive=0, allowed=[],
                stamp=b"", pending=None, tries=0, began=-5 * S, mac1=None, cookie=(None, 0), sessions=[],
                unconfirmed=None, staged=[], due={}))
            q.psk, q.endpoint = bytes.fromhex(p.get("presharedKey", q.psk.hex())), p.get("endpoint", q.endpoint)
            q.allowed = [] if p.get("replaceAllowedIPs") else q.allowed
            q.allowed += [ipaddress.ip_network(a, strict=False) for a in p.get("allowedIPs", [])]
            q.keepalive, was = p.get("keepalive", q.keepalive), q.keepalive
            if q.keepalive and not was: self.transmit(q, b"")
            if was and not q.keepalive: q.due.pop("persistent", None)
    def put(self, peer, m):
        if m[0] < 3:  # a handshake message gets its macs
            peer.mac1 = mac(digest(b"mac1----", peer.public), m)
            cookie = peer.cookie[0] if self.now - peer.cookie[1] < 120 * S else None
            m += peer.mac1 + (mac(cookie, m + peer.mac1) if cookie else bytes(16))
        local = (self.local6 if peer.endpoint[0] == "[" else self.local4) + f":{self.port}"
        self.out.append({"at": self.now, "datagram": {"local": local, "remote": peer.endpoint, "bytes": m.hex()}})
        peer.due.pop("passive", None)
        if peer.keepalive: peer.due["persistent"] = self.now + peer.keepalive * S
    def initiate(self, peer):
        if self.now - peer.began < 5 * S or not peer.endpoint: return
        noise, secret, index = Noise(peer.public), self.random.randbytes(32), self.random.randbytes(4)
        noise.ephemeral(public_of(secret))
        try: noise.mix(dh(secret, peer.public))
        except ValueError: return  # a key of low order
        static, wall = noise.put(self.public), self.wall + self.now
        noise.mix(dh(self.private, peer.public))
        stamp = noise.put(struct.pack(">QI", 2**62 + 10 + wall // S, wall % S & ~0xffffff))
        peer.pending, peer.began, peer.tries = (index, noise, secret), self.now, peer.tries + 1
        peer.due["retry"] = self.now + 5 * S + self.random.randrange(S // 3)
        self.put(peer, b"\1\0\0\0" + index + public_of(secret) + static + stamp)
    def initiation(self, m, remote):
        noise, secret, index, e = Noise(self.public), self.random.randbytes(32), self.random.randbytes(4), m[8:40]
        noise.ephemeral(e); noise.mix(dh(self.private, e))
        peer = self.peers[noise.get(m[40:88])]
        noise.mix(dh(self.private, peer.public)); stamp = noise.get(m[88:116])
        if stamp <= peer.stamp: return
        noise.ephemeral(public_of(secret)); noise.mix(dh(secret, e), dh(secret, peer.public)); noise.psk(peer.psk)
        peer.stamp, peer.endpoint, peer.began = stamp, remote, self.now; peer.due.pop("dead", None)
        self.put(peer, b"\2\0\0\0" + index + m[4:8] + public_of(secret) + noise.put(b""))
        peer.unconfirmed = noise.session(False, index, m[4:8], self.now)
    def response(self, m, remote):
        for peer in [p for p in self.peers.values() if p.pending and p.pending[0] == m[8:12]]:
            noise, (index, before, secret), e = Noise(b""), peer.pending, m[12:44]
            noise.c, noise.h = before.c, before.h  # a forged response leaves them as they are
            noise.ephemeral(e); noise.mix(dh(secret, e), dh(self.private, e)); noise.psk(peer.psk); noise.get(m[44:60])
            peer.endpoint = remote; peer.due.pop("dead", None)
            self.use(peer, noise.session(True, index, m[4:8], self.now), [b""])
    def cookie(self, m, remote):
        for peer in [p for p in self.peers.values() if p.mac1 and
                m[4:8] in (p.pending and p.pending[0], p.unconfirmed and p.unconfirmed.local)]:
            peer.cookie = xunseal(digest(b"cookie--", peer.public), m[8:32], m[32:], peer.mac1), self.now
            peer.mac1 = None  # one reply for each
    def use(self, peer, session, otherwise):  # makes a session the current one, and sends what waits for it
        peer.sessions, peer.unconfirmed, peer.pending, peer.tries = [session] + peer.sessions[:1], None, None, 0
        peer.staged, staged = [], peer.staged
        for plain in staged or otherwise: self.transmit(peer, plain)
    def transport(self, m, remote):
        for peer, s in [(p, s) for p in self.peers.values() for s in [p.unconfirmed] + p.sessions if s]:
            n = int.from_bytes(m[8:16], "little")
            if s.local != m[4:8] or self.now - s.made >= 180 * S: continue
            if n in s.seen or n >= 2**64 - 2**13 - 1 or n + 2**13 < max(s.seen, default=0): continue
            plain = unseal(s.recv, n, m[16:])
            s.seen.add(n); peer.endpoint = remote; peer.due.pop("dead", None)
            if s is peer.unconfirmed: self.use(peer, s, [])
            if peer.keepalive: peer.due["persistent"] = self.now + peer.keepalive * S
            if s.initiator and self.now - s.made >= 165 * S: self.initiate(peer)
            if plain: peer.due.setdefault("passive", self.now + 10 * S)
            src, _, length = parse(plain)
            if src and length <= len(plain) and peer is self.route(src):
                self.out.append({"at": self.now, "packet": plain[:length].hex()})
    def route(self, ip): return next((p for p in self.peers.values() if any(ip in a for a in p.allowed)), None)
    def packet(self, b):  # from the inner side
        if peer := parse(b)[1] and self.route(parse(b)[1]): self.transmit(peer, b)
    def transmit(self, peer, plain):
        s = peer.sessions[0] if peer.sessions else None
        if not s or self.now - s.made >= 180 * S:
            peer.staged, peer.tries = (peer.staged + [plain])[-128:], 0
            return self.initiate(peer)
        sealed = seal(s.send, s.next, plain + bytes(-len(plain) % 16))
        self.put(peer, b"\4\0\0\0" + s.remote + struct.pack("<Q", s.next) + sealed); s.next += 1
        if plain: peer.due.setdefault("dead", self.now + 15 * S + self.random.randrange(S // 3))
        if s.initiator and self.now - s.made >= 120 * S: self.initiate(peer)
    def datagram(self, m, remote):
        handlers = {1: (148, self.initiation), 2: (92, self.response), 3: (64, self.cookie), 4: (None, self.transport)}
        length, handle = handlers.get(m[0] if m else 0, (0, None))
        if not handle or m[1:4] != bytes(3) or len(m) < 32 or length not in (None, len(m)): return
        if m[0] < 3 and m[-32:-16] != mac(digest(b"mac1----", self.public), m[:-32]): return
        try: handle(m, remote)
        except (InvalidTag, KeyError, ValueError): pass  # not authentic, or nobody's
    def deadline(self): return min((t for p in self.peers.values() for t in p.due.values()), default=None)
    def advance(self, until, pause=False):
        while not (pause and self.out) and (self.deadline() or until + 1) <= until:
            self.now = self.deadline()
            for p, kind in [(p, k) for p in self.peers.values() for k, t in p.due.items() if t <= self.now]:
                del p.due[kind]
                if kind in ("passive", "persistent"): self.transmit(p, b"")
                elif kind == "dead" or p.pending and p.tries <= 18: self.initiate(p)
                elif p.pending: p.pending, p.staged = None, []
        if not (pause and self.out): self.now = until
def parse(b):  # source, destination and length of an inner packet
    at, n, length = 12, 4, int.from_bytes(b[2:4], "big")
    if b and b[0] >> 4 == 6: at, n, length = 8, 16, int.from_bytes(b[4:6], "big") + 40
    if not b or b[0] >> 4 not in (4, 6) or len(b) < at + 2 * n or length < at + 2 * n: return None, None, 0
    return ipaddress.ip_address(b[at:at + n]), ipaddress.ip_address(b[at + n:at + 2 * n]), length
