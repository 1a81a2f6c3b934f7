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
//!    and only as the last thing, as Luau requires of an interrupt. The value that a slice yields is taken off the
//!    stack by whoever resumed the thread, so that the stack is as before when it is resumed, without arguments.
//!    `lua_error` leaves by Luau's own exception, which may pass through an `extern "C-unwind"` frame, and no Rust value
//!    with a destructor is in that frame. Stack slots are reserved by `lua_rawcheckstack`, because an interrupt may run
//!    with a full stack.
//! 4. *Thread data is ours.* mlua does not use `lua_setthreaddata`; Luau starts each thread with null. The mark is the
//!    address of a constant and never dereferenced.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mlua::{LightUserData, Lua, Thread, ffi};

/// What the VM does at its next safepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Armed {
    /// Nothing: it runs at full speed.
    Idle,
    /// Yields, if it can; else later. A thread that Rust polls yields nothing, a script's own coroutine
    /// [`slice_mark`], which the prelude passes on to the thread that is polled.
    Slice,
    /// Yields likewise, or raises; again and again until it is back in Rust.
    Stop,
}

/// Arms one VM. Harmless once the VM is gone.
#[derive(Debug)]
pub struct Switch {
    slot: Mutex<Option<Slot>>,
    slices: AtomicU64,
    /// A slice may end at any safepoint from now on.
    armed: AtomicBool,
}

/// How often slices were armed, and whether one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slices {
    pub count: u64,
    pub armed: bool,
}

#[derive(Debug)]
struct Slot(NonNull<*mut c_void>);

// SAFETY: the address is used only as the argument above says, from whichever thread.
unsafe impl Send for Slot {}

impl Switch {
    fn new(slot: Option<Slot>) -> Arc<Self> {
        let (slices, armed) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Self { slot: Mutex::new(slot), slices, armed })
    }

    pub fn set(&self, armed: Armed) {
        let function: *mut c_void = match armed {
            Armed::Idle => null_mut(),
            Armed::Slice => on_slice as Interrupt as *mut c_void,
            Armed::Stop => on_stop as Interrupt as *mut c_void,
        };
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock with the pointer: whoever reads the count and then disarms must not meet a slice afterwards that
        // was counted before.
        if armed == Armed::Slice {
            self.slices.fetch_add(1, Ordering::SeqCst);
        }
        self.armed.store(armed == Armed::Slice, Ordering::SeqCst);
        if let Some(slot) = &*slot {
            // SAFETY: points 1 and 2; `AtomicPtr` has the layout of a pointer.
            unsafe { AtomicPtr::from_ptr(slot.0.as_ptr()) }.store(function, Ordering::Relaxed);
        }
    }

    pub fn slices(&self) -> Slices {
        let _slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        Slices { count: self.slices.load(Ordering::SeqCst), armed: self.armed.load(Ordering::SeqCst) }
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
        Self { lua, switch: Switch::new(slot.map(Slot)) }
    }

    /// A switch of its own for the VM's next run. Whoever still has the last one's, such as the ticker, which may be
    /// about to stop a run that is over, arms nothing with it any more.
    pub fn renew(&mut self) {
        self.disarm();
        let slot = self.switch.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.switch = Switch::new(slot);
        // In case it was armed between the two.
        self.disarm();
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
        *self.switch.slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What a script's own coroutine yields when its slice is over.
pub fn slice_mark() -> LightUserData {
    const MARK: &u8 = &b's';
    LightUserData(std::ptr::from_ref(MARK).cast_mut().cast())
}

/// Marks a thread that a Rust future polls, so that a yield of its reaches the lane. Others would yield to a script.
pub fn mark_driven(thread: &Thread) {
    // SAFETY: the state belongs to `thread`, which is alive; point 4.
    unsafe { ffi::lua_setthreaddata(thread.state(), driven_mark()) }
}

/// Marks the thread that is executing. mlua's `current_thread` will not do: for a thread that mlua has made to call a
/// function, it gives the one that asked for the call, which may be a script's own coroutine.
pub fn mark_current_driven(lua: &Lua) -> mlua::Result<()> {
    // SAFETY: the state is the one that executes, and alive; its stack is left alone; point 4.
    unsafe { lua.exec_raw((), |state| ffi::lua_setthreaddata(state, driven_mark())) }
}

fn driven_mark() -> *mut c_void {
    const MARK: &u8 = &b'd';
    std::ptr::from_ref(MARK).cast_mut().cast()
}

/// SAFETY: for a state that is executing on this thread.
unsafe fn is_driven(state: *mut ffi::lua_State) -> bool {
    unsafe { !ffi::lua_getthreaddata(state).is_null() }
}

unsafe extern "C-unwind" fn on_slice(state: *mut ffi::lua_State, gc: c_int) {
    // Calls with a garbage collector's phase are not safepoints.
    if gc < 0 {
        // SAFETY: point 3.
        unsafe {
            if ffi::lua_isyieldable(state) == 0 {
                return;
            }
            if is_driven(state) {
                ffi::lua_yield(state, 0);
            } else {
                ffi::lua_rawcheckstack(state, 1);
                ffi::lua_pushlightuserdata(state, slice_mark().0);
                ffi::lua_yield(state, 1);
            }
        }
    }
}

unsafe extern "C-unwind" fn on_stop(state: *mut ffi::lua_State, gc: c_int) {
    if gc < 0 {
        // SAFETY: point 3.
        unsafe {
            if is_driven(state) && ffi::lua_isyieldable(state) != 0 {
                ffi::lua_yield(state, 0);
            } else {
                ffi::lua_rawcheckstack(state, 1);
                ffi::lua_pushlightuserdata(state, driven_mark());
                ffi::lua_error(state);
            }
        }
    }
}
