//! A shim for wgconform: boringtun's library (`noise::Tunn`) behind JSON lines on standard input and output.
//! README.md says what it does of its own, and what it leaves out.

mod clock;
mod instance;
mod protocol;

use instance::Instance;
use protocol::{Failure, Greeting, Reply, Request, What};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Write};

const VERSION: &str = "boringtun 0.7.1 (noise::Tunn, mock-instant)";

fn main() -> io::Result<()> {
    instance::remember_panics();
    let mut shim = Shim { wall: clock::wall_is_ours(), instances: HashMap::new() };
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        serde_json::to_writer(&mut out, &shim.answer(&line?))?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

struct Shim {
    wall: bool,
    instances: HashMap<String, Instance>,
}

impl Shim {
    fn answer(&mut self, line: &str) -> Reply {
        let value: Value = match serde_json::from_str(line) {
            Ok(v) => v,
            Err(e) => return Reply { id: 0, what: What::Failed(Failure::Refused(format!("no JSON: {e}"))) },
        };
        let id = value["id"].as_i64().unwrap_or(0);
        let op = value["op"].as_str().unwrap_or("").to_string();
        let done = match Request::deserialize(value) {
            Ok(r) => self.serve(r),
            Err(e) if op.is_empty() || OPS.contains(&op.as_str()) => Err(Failure::Refused(format!("{op}: {e}"))),
            Err(_) => Err(Failure::Unsupported(format!("the library has nothing like {op:?}"))),
        };
        let what = done.unwrap_or_else(What::Failed);
        Reply { id, what }
    }

    fn serve(&mut self, r: Request) -> Result<What, Failure> {
        match r {
            Request::Hello {} => Ok(What::Greeting(self.greeting())),
            Request::Open { instance, seed, wall, local4, local6, config } => {
                if self.instances.contains_key(&instance) {
                    return Err(Failure::Refused(format!("{instance:?} is open already")));
                }
                let mut i = Instance::new(seed, wall, local4, local6);
                i.configure(0, config)?;
                let what = What::Report(i.report(None));
                self.instances.insert(instance, i);
                Ok(what)
            }
            Request::Datagrams { instance, at, datagrams } => self.on(&instance, |i| i.datagrams(at, datagrams)),
            Request::Packets { instance, at, packets } => self.on(&instance, |i| i.packets(at, packets)),
            Request::Configure { instance, at, change } => self.on(&instance, |i| i.configure(at, change)),
            Request::Restart { instance, at, wall } => self.on(&instance, |i| i.restart(at, wall)),
            Request::Wall { instance, at, wall } => self.on(&instance, |i| i.set_wall(at, wall)),
            Request::Advance { instance, until, pause } => self.on(&instance, |i| i.advance(until, pause)),
            Request::State { instance } => {
                let i = self.find(&instance)?;
                let state = i.state();
                Ok(What::Report(i.report(Some(state))))
            }
            Request::Close { instance } => {
                self.find(&instance)?;
                self.instances.remove(&instance);
                Ok(What::Closed {})
            }
        }
    }

    fn find(&mut self, name: &str) -> Result<&mut Instance, Failure> {
        self.instances.get_mut(name).ok_or_else(|| Failure::Refused(format!("no instance {name:?} is open")))
    }

    /// Does something to an instance and reports what came of it.
    fn on(&mut self, name: &str, f: impl FnOnce(&mut Instance) -> Result<(), Failure>) -> Result<What, Failure> {
        let i = self.find(name)?;
        f(i)?;
        Ok(What::Report(i.report(None)))
    }

    fn greeting(&self) -> Greeting {
        let mut capabilities = vec!["inner", "configure", "restart", "state", "load", "ipv6", "sources", "seed"];
        let mut lacks = BTreeMap::from([
            ("interface", "the library has no interface: no port, mark or MTU, no up and down"),
            ("uapi", "the configuration socket belongs to boringtun's device"),
            ("tos", "the library sees and makes UDP payloads only"),
            ("addresses", "the library has no sockets"),
            ("work", "public-key work takes no time; the limiter counts messages"),
        ]);
        if self.wall {
            capabilities.push("wall");
        } else {
            lacks.insert("wall", "Tunn reads std::time::SystemTime, which can be replaced on 64-bit Linux only");
        }
        Greeting {
            protocol: 1,
            name: "boringtun-shim".into(),
            version: VERSION.into(),
            layer: "library",
            kind: "poll250",
            capabilities,
            lacks,
        }
    }
}

const OPS: [&str; 10] =
    ["hello", "open", "datagrams", "packets", "configure", "restart", "wall", "advance", "state", "close"];
