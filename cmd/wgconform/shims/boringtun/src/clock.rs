//! The two clocks that the library reads, as the instance that is being called has them.
//!
//! `Instant` is mock_instant's, which belongs to the thread. The wall clock is read with `std::time::SystemTime`, once
//! for each Tunn (noise/handshake.rs, `TimeStamper::new`), and there is no feature to replace it; but std reads it
//! with the C library's `clock_gettime`, and a function of that name in the program itself comes first.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The wall clock, nanoseconds since 1970.
static WALL: AtomicI64 = AtomicI64::new(0);

/// Sets both clocks.
pub fn set(now: u64, wall: i64) {
    mock_instant::MockClock::set_time(Duration::from_nanos(now));
    WALL.store(wall, Ordering::Relaxed);
}

/// Says whether the library sees the wall clock that `set` sets: otherwise the shim lacks it, and says so.
pub fn wall_is_ours() -> bool {
    const PROBE: u64 = 1_234_567_890_123_456_789;
    set(0, PROBE as i64);
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok() == Some(Duration::from_nanos(PROBE))
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod replaced {
    use super::{Ordering, WALL};

    /// # Safety
    /// `time` points to a timespec that may be written, as for the C library's function of this name.
    #[no_mangle]
    pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
        if clock != libc::CLOCK_REALTIME {
            return libc::syscall(libc::SYS_clock_gettime, clock, time) as libc::c_int;
        }
        let wall = WALL.load(Ordering::Relaxed);
        (*time).tv_sec = wall.div_euclid(1_000_000_000);
        (*time).tv_nsec = wall.rem_euclid(1_000_000_000);
        0
    }
}
