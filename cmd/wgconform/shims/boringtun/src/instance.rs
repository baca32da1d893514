//! One instance: a host with a key, a Tunn for each peer, and their time.
//!
//! This does what boringtun asks of the program around its library, and no more: it finds the Tunn that a datagram or a
//! packet is for, repeats `decapsulate` with nothing until nothing is left, calls `update_timers` and `reset_count`
//! regularly, and knows where to send what comes out.

use crate::clock;
use crate::protocol::{
    Change, Datagram, Failure, Happened, Hex, Key, Output, PeerState, Prefix, Report, Seed, State, Wall,
};
use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use std::cell::RefCell;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

/// How often `update_timers` is called: as boringtun's own device does (device/mod.rs, `register_timers`).
const TICK: u64 = 250_000_000;
/// Ticks between two calls of the limiter's `reset_count`: a second, from the same place.
const TICKS_TO_RESET: u64 = 4;
/// Handshake messages in a second above which cookies are asked for: its device's HANDSHAKE_RATE_LIMIT.
const RATE_LIMIT: u64 = 100;
/// Room for the largest UDP payload and everything that Tunn adds.
const ROOM: usize = 1 << 17;

fn unsupported(why: &str) -> Result<(), Failure> {
    Err(Failure::Unsupported(why.into()))
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a panic says, which is how an instance dies.
pub fn remember_panics() {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        LAST_PANIC.with(|p| *p.borrow_mut() = info.to_string());
    }));
}

/// A peer as it was configured. Tunn knows the first four only.
#[derive(Clone)]
struct Config {
    key: Key,
    preshared: Key,
    keepalive: u16,
    index: u32, // the upper 24 bits of its Tunn's indices; 0: not chosen yet
    endpoint: Option<SocketAddr>,
    allowed: Vec<Prefix>,
}

struct Peer {
    config: Config,
    tunn: Tunn,
    /// Where it was heard from; counts if no endpoint was configured.
    heard: Option<SocketAddr>,
}

impl Peer {
    fn address(&self) -> Option<SocketAddr> {
        self.config.endpoint.or(self.heard)
    }
}

struct Identity {
    private: StaticSecret,
    public: PublicKey,
    limiter: Arc<RateLimiter>,
}

pub struct Instance {
    now: u64,
    wall: i64, // when now was 0
    random: u64,
    local4: Prefix,
    local6: Prefix,
    port: u16,
    mtu: Option<i64>,
    identity: Option<Identity>,
    peers: Vec<Peer>,
    born: u64, // when the clock of ticks began: with open or the latest restart
    outputs: Vec<Output>,
    dead: bool,
    buffer: Vec<u8>,
}

impl Instance {
    pub fn new(seed: Seed, wall: Option<Wall>, local4: Prefix, local6: Prefix) -> Self {
        Instance {
            now: 0,
            wall: wall.map_or(0, nanoseconds),
            random: seed.0,
            local4,
            local6,
            port: 0,
            mtu: None,
            identity: None,
            peers: Vec::new(),
            born: 0,
            outputs: Vec::new(),
            dead: false,
            buffer: vec![0; ROOM],
        }
    }

    /// Takes what was put out since the last report.
    pub fn report(&mut self, state: Option<State>) -> Report {
        let deadline = (!self.dead && !self.peers.is_empty()).then(|| self.next_tick());
        Report { now: self.now, outputs: std::mem::take(&mut self.outputs), deadline, state }
    }

    /// Calls the library with this instance's clocks and randomness. If it panics, the instance is dead.
    fn call<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> Option<R> {
        if self.dead {
            return None;
        }
        clock::set(self.now, self.wall.wrapping_add(self.now as i64));
        getrandom::set_state(self.random);
        let result = catch_unwind(AssertUnwindSafe(|| f(self)));
        self.random = getrandom::state();
        if result.is_err() {
            self.dead = true;
            let why = LAST_PANIC.with(|p| p.borrow().clone());
            self.outputs.push(Output { at: self.now, what: Happened::Died(why) });
        }
        result.ok()
    }

    fn send(&mut self, local: SocketAddr, remote: SocketAddr, bytes: Vec<u8>) {
        let datagram = Datagram { local, remote, bytes: Hex(bytes) };
        self.outputs.push(Output { at: self.now, what: Happened::Datagram(datagram) });
    }

    /// Sends something to a peer that is no answer to a datagram. It is lost if nobody knows where the peer is.
    fn send_to_peer(&mut self, peer: usize, bytes: Vec<u8>) {
        if let Some(remote) = self.peers[peer].address() {
            let host = if remote.is_ipv4() { self.local4 } else { self.local6 };
            self.send(SocketAddr::new(host.addr, self.port), remote, bytes);
        }
    }

    fn next_tick(&self) -> u64 {
        self.born + ((self.now - self.born) / TICK + 1) * TICK
    }

    /// Lets time pass, and ends early if asked to as soon as something was put out.
    pub fn advance(&mut self, until: u64, pause: bool) -> Result<(), Failure> {
        if until < self.now {
            return Err(Failure::Refused(format!("it is {} already, {until} has passed", self.now)));
        }
        while self.next_tick() <= until {
            self.now = self.next_tick();
            self.call(Self::tick);
            if pause && !self.outputs.is_empty() {
                return Ok(());
            }
        }
        self.now = until;
        Ok(())
    }

    fn tick(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        if (self.now - self.born).is_multiple_of(TICK * TICKS_TO_RESET) {
            if let Some(identity) = &self.identity {
                identity.limiter.reset_count();
            }
        }
        for i in 0..self.peers.len() {
            if let TunnResult::WriteToNetwork(bytes) = self.peers[i].tunn.update_timers(&mut buffer) {
                let bytes = bytes.to_vec();
                self.send_to_peer(i, bytes);
            }
        }
        self.buffer = buffer;
    }

    pub fn datagrams(&mut self, at: u64, datagrams: Vec<Datagram>) -> Result<(), Failure> {
        self.advance(at, false)?;
        for d in datagrams {
            self.call(|i| i.datagram(&d));
        }
        Ok(())
    }

    fn datagram(&mut self, d: &Datagram) {
        let mut buffer = std::mem::take(&mut self.buffer);
        if let Some(peer) = self.dispatch(d, &mut buffer) {
            self.decapsulate(peer, d, &mut buffer);
        }
        self.buffer = buffer;
    }

    /// Lets the limiter look at a datagram, which may answer with a cookie, and finds the Tunn that it is for: by the
    /// public key in an initiation, by the index in everything else, of which a Tunn owns 256.
    fn dispatch(&mut self, d: &Datagram, buffer: &mut [u8]) -> Option<usize> {
        let identity = self.identity.as_ref()?;
        let packet = match identity.limiter.verify_packet(Some(d.remote.ip()), &d.bytes.0, buffer) {
            Ok(packet) => packet,
            Err(TunnResult::WriteToNetwork(cookie)) => {
                let cookie = cookie.to_vec();
                self.send(d.local, d.remote, cookie);
                return None;
            }
            Err(_) => return None,
        };
        let index = match packet {
            Packet::HandshakeInit(p) => {
                let half = parse_handshake_anon(&identity.private, &identity.public, &p).ok()?;
                return self.peers.iter().position(|p| p.config.key.0 == half.peer_static_public);
            }
            Packet::HandshakeResponse(p) => p.receiver_idx,
            Packet::PacketCookieReply(p) => p.receiver_idx,
            Packet::PacketData(p) => p.receiver_idx,
        };
        self.peers.iter().position(|p| p.config.index == index >> 8)
    }

    fn decapsulate(&mut self, peer: usize, d: &Datagram, buffer: &mut [u8]) {
        let mut bytes: &[u8] = &d.bytes.0;
        loop {
            match self.peers[peer].tunn.decapsulate(Some(d.remote.ip()), bytes, buffer) {
                TunnResult::Err(_) => return,
                TunnResult::Done => {
                    self.peers[peer].heard = Some(d.remote);
                    return;
                }
                TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => {
                    let packet = Hex(packet.to_vec());
                    self.peers[peer].heard = Some(d.remote);
                    self.outputs.push(Output { at: self.now, what: Happened::Packet(packet) });
                    return;
                }
                TunnResult::WriteToNetwork(answer) => {
                    let answer = answer.to_vec();
                    self.send(d.local, d.remote, answer);
                    bytes = &[];
                }
            }
        }
    }

    pub fn packets(&mut self, at: u64, packets: Vec<Hex>) -> Result<(), Failure> {
        self.advance(at, false)?;
        for packet in packets {
            self.call(|i| i.packet(&packet.0));
        }
        Ok(())
    }

    fn packet(&mut self, packet: &[u8]) {
        let Some(peer) = Tunn::dst_address(packet).and_then(|to| self.peer_for(to)) else { return };
        let mut buffer = std::mem::take(&mut self.buffer);
        if let TunnResult::WriteToNetwork(bytes) = self.peers[peer].tunn.encapsulate(packet, &mut buffer) {
            let bytes = bytes.to_vec();
            self.send_to_peer(peer, bytes);
        }
        self.buffer = buffer;
    }

    fn peer_for(&self, to: IpAddr) -> Option<usize> {
        let bits = |p: &Peer| p.config.allowed.iter().filter(|a| a.contains(to)).map(|a| a.bits).max();
        (0..self.peers.len()).filter(|i| bits(&self.peers[*i]).is_some()).max_by_key(|i| bits(&self.peers[*i]))
    }

    /// Killed and started again: nothing is left but the configuration.
    pub fn restart(&mut self, at: u64, wall: Option<Wall>) -> Result<(), Failure> {
        self.advance(at, false)?;
        if let Some(wall) = wall {
            self.set_wall(at, wall)?;
        }
        self.dead = false;
        self.born = self.now;
        self.buffer = vec![0; ROOM]; // a panic may have taken it along
        self.call(|i| {
            if let Some(old) = i.identity.take() {
                i.identity = Some(Identity::new(old.private));
            }
            for n in 0..i.peers.len() {
                i.peers[n] = i.new_peer(i.peers[n].config.clone());
            }
        });
        Ok(())
    }

    /// Tunn reads the wall clock when it is made, and not again.
    pub fn set_wall(&mut self, at: u64, wall: Wall) -> Result<(), Failure> {
        self.advance(at, false)?;
        self.wall = nanoseconds(wall).wrapping_sub(self.now as i64);
        Ok(())
    }

    pub fn configure(&mut self, at: u64, c: Change) -> Result<(), Failure> {
        let opening = self.identity.is_none();
        if c.up == Some(false) || c.mark.is_some_and(|m| m != 0) {
            return unsupported("the library has no interface and no sockets");
        }
        if !opening && (c.listen_port.is_some_and(|p| p != self.port) || c.mtu.is_some() && c.mtu != self.mtu) {
            return unsupported("the library has no interface and no sockets");
        }
        if c.private_key == Some(Key([0; 32])) || opening && c.private_key.is_none() {
            return unsupported("a Tunn always has a private key");
        }
        if let (Some(key), Some(identity)) = (c.private_key, &self.identity) {
            if PublicKey::from(&StaticSecret::from(key.0)) == identity.public {
                return unsupported("that a key is no new one is found out around the library, which is not told then");
            }
        }
        let configs = self.changed(&c)?;
        self.advance(at, false)?; // not before it is known that nothing is refused
        self.port = c.listen_port.unwrap_or(self.port);
        self.mtu = c.mtu.or(self.mtu);
        self.call(|i| {
            if let Some(key) = c.private_key {
                i.set_private(key);
            }
            i.set_peers(configs);
        });
        Ok(())
    }

    /// What the configuration of the peers would be after a change.
    fn changed(&self, c: &Change) -> Result<Vec<Config>, Failure> {
        let mut configs: Vec<Config> =
            if c.replace_peers { Vec::new() } else { self.peers.iter().map(|p| p.config.clone()).collect() };
        for change in &c.peers {
            let known = configs.iter().position(|p| p.key == change.public_key);
            if change.remove {
                configs.retain(|p| p.key != change.public_key);
                continue;
            }
            let place = match known {
                None if change.update_only => continue,
                None => {
                    configs.push(Config {
                        key: change.public_key,
                        preshared: change.preshared_key.unwrap_or(Key([0; 32])),
                        keepalive: change.keepalive.unwrap_or(0),
                        index: 0,
                        endpoint: None,
                        allowed: Vec::new(),
                    });
                    configs.len() - 1
                }
                Some(k) => k,
            };
            let config = &mut configs[place];
            if change.preshared_key.is_some_and(|k| k != config.preshared) {
                unsupported("a Tunn is made with its preshared key and cannot be given another")?;
            }
            if change.keepalive.is_some_and(|k| k != config.keepalive) {
                unsupported("a Tunn is made with its persistent keepalive interval and cannot be given another")?;
            }
            config.endpoint = change.endpoint.or(config.endpoint);
            if change.replace_allowed_ips {
                config.allowed.clear();
            }
            config.allowed.extend(&change.allowed_ips);
            let moved = config.key;
            for other in configs.iter_mut().filter(|p| p.key != moved) {
                other.allowed.retain(|a| !change.allowed_ips.contains(a));
            }
        }
        Ok(configs)
    }

    fn set_private(&mut self, key: Key) {
        let identity = Identity::new(StaticSecret::from(key.0));
        for peer in &mut self.peers {
            let limiter = no_limit(&identity.public);
            peer.tunn.set_static_private(identity.private.clone(), identity.public, Some(limiter));
        }
        self.identity = Some(identity);
    }

    fn set_peers(&mut self, configs: Vec<Config>) {
        let mut used: HashSet<u32> = configs.iter().map(|c| c.index).collect();
        let mut old: Vec<Peer> = std::mem::take(&mut self.peers);
        for mut config in configs {
            let peer = match old.iter().position(|p| p.config.index == config.index) {
                Some(k) => Peer { config, ..old.swap_remove(k) },
                None => {
                    config.index = new_index(&mut used);
                    self.new_peer(config)
                }
            };
            self.peers.push(peer);
        }
    }

    fn new_peer(&self, config: Config) -> Peer {
        let identity = self.identity.as_ref().expect("configure asks for a private key first");
        let tunn = Tunn::new(
            identity.private.clone(),
            PublicKey::from(config.key.0),
            (config.preshared != Key([0; 32])).then_some(config.preshared.0),
            (config.keepalive != 0).then_some(config.keepalive),
            config.index,
            Some(no_limit(&identity.public)),
        );
        Peer { config, tunn, heard: None }
    }

    pub fn state(&mut self) -> State {
        let wall = self.wall.wrapping_add(self.now as i64);
        let peers = self.call(|i| i.peers.iter().map(|p| p.state(wall)).collect());
        State {
            public_key: Key(self.identity.as_ref().map_or([0; 32], |i| i.public.to_bytes())),
            listen_port: self.port,
            mark: 0,
            peers: peers.unwrap_or_default(),
        }
    }
}

impl Identity {
    fn new(private: StaticSecret) -> Self {
        let public = PublicKey::from(&private);
        Identity { limiter: Arc::new(RateLimiter::new(&public, RATE_LIMIT)), private, public }
    }
}

/// Draws a number of 24 bits that is not used yet, and uses it. 0 counts as used.
fn new_index(used: &mut HashSet<u32>) -> u32 {
    loop {
        let mut bytes = [0; 4];
        getrandom::getrandom(&mut bytes[..3]).expect("the stream never ends");
        let index = u32::from_le_bytes(bytes);
        if used.insert(index) {
            return index;
        }
    }
}

/// A limiter for a Tunn behind the instance's own: `decapsulate` always asks one, and a message must not count twice.
/// (boringtun's device calls a function there that is not public.)
fn no_limit(public: &PublicKey) -> Arc<RateLimiter> {
    Arc::new(RateLimiter::new(public, u64::MAX))
}

impl Peer {
    fn state(&self, wall: i64) -> PeerState {
        let (since, tx, rx, ..) = self.tunn.stats();
        let last = since.map(|since| wall.wrapping_sub(since.as_nanos() as i64));
        PeerState {
            public_key: self.config.key,
            preshared_key: self.config.preshared,
            endpoint: self.address().map(|a| a.to_string()).unwrap_or_default(),
            rx: rx as u64,
            tx: tx as u64,
            last_handshake: last.map(|l| Wall { s: l.div_euclid(1_000_000_000), ns: l.rem_euclid(1_000_000_000) }),
            keepalive: self.tunn.persistent_keepalive().unwrap_or(0),
            allowed_ips: self.config.allowed.clone(),
        }
    }
}

fn nanoseconds(w: Wall) -> i64 {
    w.s.saturating_mul(1_000_000_000).saturating_add(w.ns)
}
