//! What exit codes mean. Those above 128 are signals, by the shell's convention, which the engine follows.

/// None for 0 and for codes whose meaning only the program knows.
pub(super) fn meaning(code: i64, oom_killed: bool) -> Option<String> {
    let text = match code {
        125 => "the engine could not run the container",
        126 => "the command was found and cannot be executed",
        127 => "the command was not found",
        128 => "the engine could not start it",
        137 if oom_killed => "killed (SIGKILL) because it reached its memory limit",
        129..=192 => return signal(code - 128),
        _ => return None,
    };
    Some(text.to_owned())
}

fn signal(number: i64) -> Option<String> {
    let text = match number {
        1 => "ended by SIGHUP",
        2 => "ended by SIGINT, as Ctrl-C does",
        4 => "ended by SIGILL: an instruction that this processor does not have",
        6 => "aborted itself (SIGABRT)",
        7 => "ended by SIGBUS",
        8 => "ended by SIGFPE, such as a division by zero",
        9 => "killed (SIGKILL) from outside",
        11 => "crashed (SIGSEGV)",
        13 => "ended by SIGPIPE",
        15 => "stopped (SIGTERM)",
        other => return Some(format!("ended by signal {other}")),
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_in_words() {
        assert_eq!(meaning(0, false), None);
        assert_eq!(meaning(3, false), None);
        assert!(meaning(137, true).is_some_and(|text| text.contains("memory limit")));
        assert!(meaning(137, false).is_some_and(|text| text.contains("from outside")));
        assert!(meaning(143, false).is_some_and(|text| text.contains("SIGTERM")));
        assert_eq!(meaning(160, false).as_deref(), Some("ended by signal 32"));
        for code in [125, 126, 127, 128, 134, 139] {
            assert!(meaning(code, false).is_some(), "{code}");
        }
    }
}
