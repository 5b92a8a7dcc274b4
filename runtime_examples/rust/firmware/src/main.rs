//! The recorded run of a bundle on a Cortex-M4: a row a tensor. Leaves with 1 where one is off.
#![no_std]
#![no_main]

extern crate alloc;

#[path = "../../tests/measure/mod.rs"]
mod measure;

use alloc::{format, vec, vec::Vec};
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use edgernn_net::State;
use measure::{replay, Made};

include!(concat!(env!("PREPARED"), "/golden.rs"));

// Of ../../mcu/semihosting.h.
extern "C" {
    #[link_name = "say"]
    fn say_bytes(text: *const u8);
    fn leave(code: i32) -> !;
}

fn say(line: &str) {
    let text = format!("{line}\n\0");
    // SAFETY: the text ends with 0 and is only read.
    unsafe { say_bytes(text.as_ptr()) }
}

#[no_mangle]
extern "C" fn main() -> i32 {
    let rows = match replay(STEPS, FORCED, state_before, step_at) {
        Ok(rows) => rows,
        Err(error) => {
            say(&format!("{error}"));
            return 1;
        }
    };
    let mut failed = 0;
    for row in rows {
        failed += i32::from(row.worst() > TOLERANCE);
        say(&row.told(TOLERANCE));
    }
    (failed > 0).into()
}

#[panic_handler]
fn panic(why: &core::panic::PanicInfo) -> ! {
    say(&format!("{why}"));
    // SAFETY: it does not return.
    unsafe { leave(3) }
}

const HEAP_BYTES: usize = 3 << 20;

/// Memory is handed out and never taken back: the run is short. The network itself takes none.
#[repr(align(8))]
struct Heap {
    memory: UnsafeCell<[u8; HEAP_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: one core without interrupts runs it.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { memory: UnsafeCell::new([0; HEAP_BYTES]), used: AtomicUsize::new(0) };

// SAFETY: what is handed out lies in the memory and overlaps nothing that was handed out before.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let begin = self.used.load(Ordering::Relaxed).next_multiple_of(layout.align());
        if layout.align() > 8 || begin + layout.size() > HEAP_BYTES {
            return null_mut();
        }
        self.used.store(begin + layout.size(), Ordering::Relaxed);
        self.memory.get().cast::<u8>().add(begin)
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
