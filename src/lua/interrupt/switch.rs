//! The one module of Aegis with `unsafe` code: sets the interrupt pointer of a VM from another thread.
//!
//! # Why this is sound
//!
//! 1. *The pointer is alive while it is used.* A [`Switch`] holds the address of `lua_Callbacks::interrupt`, which lies
//!    in the VM's global state. It is reachable only through the mutex in [`Switch`]; every use holds that mutex.
//!    The only way to get a switch is a [`Connection`], which owns a strong `Lua` handle, and so the global state
//!    lives, until its `Drop` has emptied the switch under the same mutex. Later uses find nothing to write to.
//! 2. *The write is allowed.* Luau documents (`lua.h`, `struct lua_Callbacks`) that `interrupt` may be set from any
//!    thread while the VM runs; it reads the pointer once for each safepoint. The write is an atomic store of a
//!    pointer-sized, pointer-aligned word.
//! 3. *The interrupt functions touch only the state they are given*, on the thread that executes it. `lua_isyieldable`,
//!    `lua_getthreaddata` and `lua_yield` neither allocate nor free. `lua_yield` is called only if the state can yield,
//!    and only as the last thing, as Luau requires of an interrupt. `lua_error` leaves by Luau's own exception, which
//!    may pass through an `extern "C-unwind"` frame, and no Rust value with a destructor is in that frame. The stack
//!    slot for its value is reserved by `lua_rawcheckstack`, because an interrupt may run with a full stack.
//! 4. *Thread data is ours.* mlua does not use `lua_setthreaddata`; Luau starts each thread with null. The mark is the
//!    address of a constant and never dereferenced.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Lua, Thread, ffi};

/// What the VM does at its next safepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Armed {
    /// Nothing: it runs at full speed.
    Idle,
    /// Yields to whoever polls it, if it is in a thread that is polled and can yield; else later.
    Slice,
    /// Yields likewise, or raises; again and again until it is back in Rust.
    Stop,
}

/// Arms one VM. Harmless once the VM is gone.
#[derive(Debug)]
pub struct Switch(Mutex<Option<Slot>>);

#[derive(Debug)]
struct Slot(NonNull<*mut c_void>);

// SAFETY: the address is used only as the argument above says, from whichever thread.
unsafe impl Send for Slot {}

impl Switch {
    pub fn set(&self, armed: Armed) {
        let function: *mut c_void = match armed {
            Armed::Idle => null_mut(),
            Armed::Slice => on_slice as Interrupt as *mut c_void,
            Armed::Stop => on_stop as Interrupt as *mut c_void,
        };
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = &*slot {
            // SAFETY: points 1 and 2; `AtomicPtr` has the layout of a pointer.
            unsafe { AtomicPtr::from_ptr(slot.0.as_ptr()) }.store(function, Ordering::Relaxed);
        }
    }
}

type Interrupt = unsafe extern "C-unwind" fn(*mut ffi::lua_State, c_int);

/// Keeps a VM and its switch together.
#[derive(Debug)]
pub struct Connection {
    lua: Lua,
    switch: Arc<Switch>,
}

impl Connection {
    pub fn new(lua: Lua) -> Self {
        // SAFETY: `lua.state()` is a live state of a live VM; the callbacks are part of its global state, and the
        // field's address has the alignment of a pointer.
        let slot = unsafe {
            let callbacks = ffi::lua_callbacks(lua.state());
            NonNull::new((&raw mut (*callbacks).interrupt).cast::<*mut c_void>())
        };
        Self { lua, switch: Arc::new(Switch(Mutex::new(slot.map(Slot)))) }
    }

    pub fn switch(&self) -> Arc<Switch> {
        self.switch.clone()
    }

    /// Lets the VM execute freely again, after a stop.
    pub fn disarm(&self) {
        self.switch.set(Armed::Idle);
    }

    pub fn lua(&self) -> &Lua {
        &self.lua
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.switch.set(Armed::Idle);
        *self.switch.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Marks a thread that a Rust future polls, so that a yield of its reaches the lane. Others would yield to a script.
pub fn mark_driven(thread: &Thread) {
    // SAFETY: the state belongs to `thread`, which is alive; point 4.
    unsafe { ffi::lua_setthreaddata(thread.state(), driven_mark()) }
}

fn driven_mark() -> *mut c_void {
    const MARK: &u8 = &b'd';
    std::ptr::from_ref(MARK).cast_mut().cast()
}

/// SAFETY: called by Luau with a state that is executing on this thread.
unsafe fn can_yield_to_lane(state: *mut ffi::lua_State) -> bool {
    unsafe { !ffi::lua_getthreaddata(state).is_null() && ffi::lua_isyieldable(state) != 0 }
}

unsafe extern "C-unwind" fn on_slice(state: *mut ffi::lua_State, gc: c_int) {
    // Calls with a garbage collector's phase are not safepoints.
    if gc < 0 {
        // SAFETY: point 3.
        unsafe {
            if can_yield_to_lane(state) {
                ffi::lua_yield(state, 0);
            }
        }
    }
}

unsafe extern "C-unwind" fn on_stop(state: *mut ffi::lua_State, gc: c_int) {
    if gc < 0 {
        // SAFETY: point 3.
        unsafe {
            if can_yield_to_lane(state) {
                ffi::lua_yield(state, 0);
            } else {
                ffi::lua_rawcheckstack(state, 1);
                ffi::lua_pushlightuserdata(state, driven_mark());
                ffi::lua_error(state);
            }
        }
    }
}
