//! Takes the place of the crate getrandom in this program: numbers that follow from a seed, never from the system.
//! They are good enough to look random to a protocol and must never be used outside a test.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU32;

/// What getrandom reports when it fails, which this one never does. Its users convert it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(NonZeroU32);

impl Error {
    pub const INTERNAL_START: u32 = 1 << 31;
    pub const CUSTOM_START: u32 = (1 << 31) + (1 << 30);

    pub const fn code(self) -> NonZeroU32 {
        self.0
    }
}

impl From<NonZeroU32> for Error {
    fn from(code: NonZeroU32) -> Self {
        Error(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}", self.0)
    }
}

impl std::error::Error for Error {}

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Sets where this thread is in its stream: a seed, or what `state` gave.
pub fn set_state(state: u64) {
    STATE.with(|s| s.set(state));
}

/// Where this thread is in its stream.
pub fn state() -> u64 {
    STATE.with(Cell::get)
}

/// Fills `dest` with the next bytes of the stream, which is that of SplitMix64.
pub fn getrandom(dest: &mut [u8]) -> Result<(), Error> {
    for chunk in dest.chunks_mut(8) {
        let s = state().wrapping_add(0x9e37_79b9_7f4a_7c15);
        set_state(s);
        let mut z = (s ^ (s >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
    }
    Ok(())
}
