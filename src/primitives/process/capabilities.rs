//! What the daemon may do beyond other processes: programs that it starts may not, but for the one that needs it.

use std::io;

pub use rustix::thread::CapabilitySet;
use rustix::thread::CapabilitySets;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// From now on nothing that this thread, or one that it makes, starts is given what the process itself may do. To be called
/// before there are other threads.
pub fn keep_to_itself() {
    // Kernels that have no such sets pass nothing on.
    let _ = rustix::thread::clear_ambient_capability_set();
    let _ = inheritable(CapabilitySet::empty());
}

fn inheritable(inheritable: CapabilitySet) -> io::Result<()> {
    let sets = rustix::thread::capabilities(None)?;
    Ok(rustix::thread::set_capabilities(None, CapabilitySets { inheritable, ..sets })?)
}

/// Starts a program that may do what one capability allows, if this process may. On a thread of its own, with which goes
/// what the program was to inherit.
pub async fn spawn_with(capability: CapabilitySet, mut command: Command) -> io::Result<Child> {
    let (tell, told) = oneshot::channel();
    let runtime = Handle::current();
    std::thread::Builder::new().name("aegis-spawn".to_owned()).spawn(move || {
        // Without it the program says itself what it may not do.
        let passed_on = inheritable(capability)
            .and_then(|()| Ok(rustix::thread::configure_capability_in_ambient_set(capability, true)?));
        if let Err(failure) = passed_on {
            tracing::debug!(%failure, "a program is started without the daemon's rights");
        }
        let _entered = runtime.enter();
        // Whoever asked may have gone: then the program goes, too.
        let _ = tell.send(command.spawn());
    })?;
    told.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::process::{Command as Plain, Stdio};

    use super::*;

    /// The sets that a program finds which this thread starts: inheritable and ambient.
    fn of_status(status: &str) -> (u64, u64) {
        let field = |name: &str| {
            let text = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells");
            u64::from_str_radix(text.trim(), 16).expect("a number")
        };
        (field("CapInh:"), field("CapAmb:"))
    }

    fn inherited() -> (u64, u64) {
        let output = Plain::new("cat").arg("/proc/self/status").output().expect("cat");
        of_status(&String::from_utf8_lossy(&output.stdout))
    }

    async fn inherited_with(capability: CapabilitySet) -> (u64, u64) {
        let mut command = Command::new("cat");
        command.arg("/proc/self/status").stdout(Stdio::piped()).kill_on_drop(true);
        let child = spawn_with(capability, command).await.expect("started");
        of_status(&String::from_utf8_lossy(&child.wait_with_output().await.expect("ended").stdout))
    }

    #[tokio::test]
    async fn programs_are_given_no_right_but_the_one_that_they_are_started_with() {
        let right = CapabilitySet::NET_ADMIN;
        let sets = rustix::thread::capabilities(None).expect("the kernel tells");
        assert!(sets.permitted.contains(right), "this test needs CAP_NET_ADMIN");
        // As systemd starts a daemon that is not root.
        inheritable(right).expect("permitted");
        rustix::thread::configure_capability_in_ambient_set(right, true).expect("permitted and inheritable");
        assert_eq!(inherited(), (right.bits(), right.bits()));
        keep_to_itself();
        assert_eq!(inherited(), (0, 0));
        // The process itself may do what it could before.
        assert_eq!(rustix::thread::capabilities(None).map(|sets| sets.permitted), Ok(sets.permitted));
        assert_eq!(inherited_with(right).await, (right.bits(), right.bits()));
        assert_eq!(inherited(), (0, 0), "the next program has nothing of it");
    }
}
