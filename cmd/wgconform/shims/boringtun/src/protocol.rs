//! The messages of the shim protocol (docs/SHIM.md), as far as a library can serve them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Bytes, written as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        hex::decode(String::deserialize(d)?).map(Hex).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(&self.0))
    }
}

/// A key of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes = Hex::deserialize(d)?.0;
        let n = bytes.len();
        bytes.try_into().map(Key).map_err(|_| serde::de::Error::custom(format!("a key of {n} bytes")))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(self.0))
    }
}

/// An address with the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub addr: IpAddr,
    pub bits: u8,
}

impl Prefix {
    pub fn contains(&self, other: IpAddr) -> bool {
        let differ = |a: u128, b: u128, width: u8| (a ^ b).checked_shr(u32::from(width - self.bits)).unwrap_or(0) != 0;
        match (self.addr, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => !differ(u32::from(a).into(), u32::from(b).into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => !differ(a.into(), b.into(), 128),
            _ => false,
        }
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let parsed = text.split_once('/').and_then(|(addr, bits)| {
            let (addr, bits) = (addr.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
            (bits <= if addr.is_ipv4() { 32 } else { 128 }).then_some(Prefix { addr, bits })
        });
        parsed.ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no prefix")))
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{}/{}", self.addr, self.bits))
    }
}

/// 64 bits in 16 hexadecimal digits.
#[derive(Clone, Copy, Default)]
pub struct Seed(pub u64);

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        u64::from_str_radix(&String::deserialize(d)?, 16).map(Seed).map_err(serde::de::Error::custom)
    }
}

/// A time of the wall clock.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub struct Wall {
    pub s: i64,
    pub ns: i64,
}

/// A request without its id. What an op does not have is ignored.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Request {
    Hello {},
    Open {
        instance: String,
        #[serde(default)]
        seed: Seed,
        wall: Option<Wall>,
        local4: Prefix,
        local6: Prefix,
        #[serde(default)]
        config: Change,
    },
    Datagrams {
        instance: String,
        at: u64,
        #[serde(default)]
        datagrams: Vec<Datagram>,
    },
    Packets {
        instance: String,
        at: u64,
        #[serde(default)]
        packets: Vec<Hex>,
    },
    Configure {
        instance: String,
        at: u64,
        #[serde(default)]
        change: Change,
    },
    Restart {
        instance: String,
        at: u64,
        wall: Option<Wall>,
    },
    Wall {
        instance: String,
        at: u64,
        wall: Wall,
    },
    Advance {
        instance: String,
        until: u64,
        #[serde(default)]
        pause: bool,
    },
    State {
        instance: String,
    },
    Close {
        instance: String,
    },
}

#[derive(Deserialize, Serialize)]
pub struct Datagram {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub bytes: Hex,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Change {
    pub private_key: Option<Key>,
    pub listen_port: Option<u16>,
    pub mark: Option<u32>,
    pub mtu: Option<i64>,
    pub up: Option<bool>,
    pub replace_peers: bool,
    pub peers: Vec<PeerChange>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerChange {
    pub public_key: Key,
    #[serde(default)]
    pub remove: bool,
    #[serde(default)]
    pub update_only: bool,
    pub preshared_key: Option<Key>,
    pub endpoint: Option<SocketAddr>,
    pub keepalive: Option<u16>,
    #[serde(default, rename = "replaceAllowedIPs")]
    pub replace_allowed_ips: bool,
    #[serde(default, rename = "allowedIPs")]
    pub allowed_ips: Vec<Prefix>,
}

#[derive(Default, Serialize)]
pub struct Reply {
    pub id: i64,
    #[serde(flatten)]
    pub what: What,
}

/// What a reply says: one of these.
#[derive(Serialize)]
#[serde(untagged)]
pub enum What {
    Greeting(Greeting),
    Report(Report),
    Failed(Failure),
    Closed {},
}

/// What came of a request, and the time at which the instance is.
#[derive(Serialize)]
pub struct Report {
    pub now: u64,
    pub outputs: Vec<Output>,
    pub deadline: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

/// Why nothing was done, and no time has passed.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Failure {
    /// The library has no way to do this.
    Unsupported(String),
    /// The request is wrong.
    #[serde(rename = "error")]
    Refused(String),
}

impl Default for What {
    fn default() -> Self {
        What::Closed {}
    }
}

#[derive(Serialize)]
pub struct Greeting {
    pub protocol: u32,
    pub name: String,
    pub version: String,
    pub layer: &'static str,
    pub kind: &'static str,
    pub capabilities: Vec<&'static str>,
    pub lacks: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
pub struct Output {
    pub at: u64,
    #[serde(flatten)]
    pub what: Happened,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Happened {
    Datagram(Datagram),
    Packet(Hex),
    Died(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub public_key: Key,
    pub listen_port: u16,
    pub mark: u32,
    pub peers: Vec<PeerState>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerState {
    pub public_key: Key,
    pub preshared_key: Key,
    pub endpoint: String,
    pub rx: u64,
    pub tx: u64,
    pub last_handshake: Option<Wall>,
    pub keepalive: u16,
    #[serde(rename = "allowedIPs")]
    pub allowed_ips: Vec<Prefix>,
}
