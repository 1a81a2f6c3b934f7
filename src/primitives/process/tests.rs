//! Real programs of the base system.

use std::sync::Mutex;

use super::*;
use crate::base::Fault;
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::fs;
use crate::primitives::permit;

struct Bed {
    dir: tempfile::TempDir,
    processes: Processes,
}

fn bed() -> Bed {
    let dir = tempfile::tempdir().expect("a folder");
    let roots = BTreeMap::from([("data".to_owned(), dir.path().to_owned())]);
    let files = Files::new(fs::Options { roots }).expect("roots");
    let programs =
        BTreeMap::from([("shell".to_owned(), "/bin/sh".into()), ("gone".to_owned(), "/nonexistent/program".into())]);
    let options = Options { programs, keeper: None };
    let masker = Masker::default();
    assert!(masker.set(["hunter2-hunter2"]));
    Bed { dir, processes: Processes::new(options, files, Clock::system(), masker).expect("programs") }
}

fn all() -> Grants {
    Grants::all()
}

fn arguments(list: &[&str]) -> Request {
    Request { arguments: list.iter().map(|text| (*text).to_owned()).collect(), ..Request::default() }
}

impl Bed {
    async fn run(&self, program: &str, request: Request) -> Result<Finished, ProcessError> {
        let permit = permit::process(&all(), program).expect("a permit");
        self.processes.run(&permit, request, None).await
    }

    fn root(&self, access: Access) -> FsPermit {
        permit::fs(&all(), "data", access).expect("a permit")
    }
}

#[tokio::test]
async fn a_program_gets_its_arguments_as_they_are_and_nothing_else() {
    let bed = bed();
    let said = bed.run("printf", arguments(&["%s|", "a b", "$HOME", "*", "; true", ""])).await.expect("run");
    assert_eq!((said.ended, said.stdout.text().as_str()), (Ended::Code(0), "a b|$HOME|*|; true||"));
    let said = bed.run("env", Request::default()).await.expect("run").stdout.text();
    let mut names: Vec<_> = said.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["LANG", "PATH", "TZ"]);
    let given = Request { environment: BTreeMap::from([("X".into(), "1 2".into())]), ..arguments(&["X"]) };
    assert_eq!(bed.run("printenv", given).await.expect("run").stdout.text(), "1 2\n");
    let fed = Request { input: b"three\ntwo\n".to_vec(), ..Request::default() };
    assert_eq!(bed.run("sort", fed).await.expect("run").stdout.text(), "three\ntwo\n");
    // One that reads nothing of what it is given ends all the same.
    let unread = Request { input: vec![b'x'; 1 << 20], ..Request::default() };
    assert_eq!(bed.run("true", unread).await.expect("run").ended, Ended::Code(0));
}

#[tokio::test]
async fn exit_codes_and_signals_are_results() {
    let bed = bed();
    assert_eq!(bed.run("false", Request::default()).await.expect("run").ended, Ended::Code(1));
    let killed = bed.run("shell", arguments(&["-c", "kill -9 $$"])).await.expect("run");
    assert_eq!(killed.ended, Ended::Signal(9));
    let asked = bed.run("shell", arguments(&["-c", "kill -TERM $$"])).await.expect("run");
    assert_eq!(asked.ended, Ended::Signal(15));
    for code in [128, 130, 137, 255] {
        let ended = bed.run("shell", arguments(&["-c", &format!("exit {code}")])).await.expect("run").ended;
        assert_eq!(ended, Ended::Code(code), "a code of the program's own is no signal");
    }
    let said = bed.run("shell", arguments(&["-c", "echo out; echo err >&2; exit 7"])).await.expect("run");
    assert_eq!((said.ended, said.stdout.text(), said.stderr.text()), (Ended::Code(7), "out\n".into(), "err\n".into()));
}

#[tokio::test]
async fn only_the_end_of_much_output_is_kept() {
    let bed = bed();
    let request = Request { output_bytes_max: 100, ..arguments(&["1", "100000"]) };
    let said = bed.run("seq", request).await.expect("run");
    assert_eq!(said.stdout.bytes.len(), 100);
    assert!(said.stdout.text().ends_with("99999\n100000\n"));
    assert_eq!((said.stdout.total, said.stdout.cut), (588_895, 588_795));
}

#[tokio::test]
async fn lines_are_told_as_they_come() {
    let bed = bed();
    let told: Arc<Mutex<Vec<(Stream, String)>>> = Arc::default();
    let lines: Lines = {
        let told = told.clone();
        Arc::new(move |stream, line: &str| told.lock().expect("not poisoned").push((stream, line.to_owned())))
    };
    let permit = permit::process(&all(), "shell").expect("a permit");
    let request = arguments(&["-c", "printf 'one\\r\\n\\ntwo'; echo oops >&2"]);
    bed.processes.run(&permit, request, Some(lines)).await.expect("run");
    let mut told = told.lock().expect("not poisoned").clone();
    told.sort_by_key(|(stream, _)| *stream == Stream::Stderr);
    let shown: Vec<_> = told.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(shown, ["one", "", "two", "oops"]);
}

#[tokio::test]
async fn a_secret_at_a_cut_is_whole_in_one_piece() {
    let bed = bed();
    let told: Arc<Mutex<String>> = Arc::default();
    let lines: Lines = {
        let told = told.clone();
        Arc::new(move |_, line: &str| told.lock().expect("not poisoned").push_str(&format!("{line}\n")))
    };
    let permit = permit::process(&all(), "shell").expect("a permit");
    // The secret begins at the byte 4,090, and the cuts are at 4,096 bytes from the beginning and at 20 from the end.
    let script = "printf '%04090d' 0; printf 'hunter2-hunter2'; printf '%014d' 0; printf '%04090d\n' 0 >&2";
    let request = Request { output_bytes_max: 20, ..arguments(&["-c", script]) };
    let said = bed.processes.run(&permit, request, Some(lines)).await.expect("run");
    assert_eq!(said.stdout.text(), "0".repeat(14));
    assert_eq!(said.stdout.total, said.stdout.cut + 14);
    let told = told.lock().expect("not poisoned").clone();
    assert_eq!(told.lines().filter(|line| line.contains("hunter2-hunter2")).count(), 1, "{told}");
}

#[tokio::test]
async fn output_goes_to_a_file_when_the_program_succeeds() {
    let bed = bed();
    let into = |name: &str, list: &[&str]| Request {
        output_file: Some((bed.root(Access::Write), name.parse().expect("a path"))),
        ..arguments(list)
    };
    let said = bed.run("seq", into("data:numbers", &["1", "50000"])).await.expect("run");
    assert_eq!((said.stdout.bytes.len(), said.stdout.total, said.stdout.cut), (0, 288_894, 0));
    let written = std::fs::read_to_string(bed.dir.path().join("numbers")).expect("a file");
    assert!(written.len() == 288_894 && written.ends_with("50000\n"));
    bed.run("shell", into("data:numbers", &["-c", "echo half; exit 1"])).await.expect("run");
    assert_eq!(std::fs::read_to_string(bed.dir.path().join("numbers")).expect("a file"), written);
    assert_eq!(std::fs::read_dir(bed.dir.path()).expect("a folder").count(), 1, "nothing is left beside it");
}

#[tokio::test]
async fn the_folder_is_one_of_a_root() {
    let bed = bed();
    std::fs::create_dir(bed.dir.path().join("sub")).expect("a folder");
    std::os::unix::fs::symlink("/etc", bed.dir.path().join("out")).expect("a link");
    let within = |name: &str| Request {
        folder: Some((bed.root(Access::Read), name.parse().expect("a path"))),
        ..arguments(&["-P"])
    };
    let shell = |name: &str| Request { arguments: vec!["-c".into(), "pwd -P".into()], ..within(name) };
    let expected = bed.dir.path().join("sub").canonicalize().expect("a folder");
    assert_eq!(
        bed.run("shell", shell("data:sub")).await.expect("run").stdout.text().trim_end(),
        expected.to_string_lossy()
    );
    assert_eq!(bed.run("shell", shell("data:out")).await.expect_err("outside").code(), "fs.escape");
    let top = bed.run("shell", arguments(&["-c", "pwd -P"])).await.expect("run");
    assert_eq!(top.stdout.text(), "/\n");
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

async fn ends(pid: &str) -> bool {
    for _ in 0..500 {
        if !is_alive(pid) {
            return true;
        }
        Clock::system().sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_asked_and_then_ended_with_its_children() {
    let bed = bed();
    let script = "trap '' TERM; sleep 300 & echo $!; echo waiting >&2; wait; sleep 300";
    let request = Request {
        timeout: Duration::from_secs(1),
        kill_after: Duration::from_millis(100),
        ..arguments(&["-c", script])
    };
    let Err(ProcessError::Timeout { stdout, stderr, .. }) = bed.run("shell", request).await else {
        panic!("it ended in time");
    };
    assert_eq!(stderr.text(), "waiting\n");
    assert!(ends(&stdout.text()).await, "the child of the program lives");
    let fault =
        Fault::from(ProcessError::Timeout { program: "x".into(), after: Duration::from_secs(1), stdout, stderr });
    assert_eq!((&*fault.code, fault.details["stderr"].as_str()), ("process.timeout", Some("waiting\n")));
    // One that listens is not killed.
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let request = Request { timeout: Duration::from_secs(1), ..arguments(&["-c", script]) };
    let Err(ProcessError::Timeout { stdout, .. }) = bed.run("shell", request).await else {
        panic!("it ended in time");
    };
    assert_eq!(stdout.text(), "ready\nbye\n");
}

#[tokio::test]
async fn whoever_stops_waiting_ends_the_program() {
    let bed = bed();
    let path = bed.dir.path().join("pid");
    let script = format!("echo $$ > {}.new; mv {0}.new {0}; sleep 300", path.display());
    let run = bed.run("shell", arguments(&["-c", &script]));
    let pid = tokio::select! {
        ended = run => panic!("it ended: {ended:?}"),
        pid = async {
            loop {
                if let Ok(pid) = std::fs::read_to_string(&path) {
                    break pid;
                }
                Clock::system().sleep(Duration::from_millis(5)).await;
            }
        } => pid,
    };
    assert!(ends(&pid).await, "it lives");
    // What a program leaves behind in its group goes with it, and its output does not hold the call up.
    let left = bed.run("shell", arguments(&["-c", "sleep 300 & echo $!"])).await.expect("run");
    assert!(left.took < Duration::from_secs(60) && ends(&left.stdout.text()).await);
}

#[tokio::test]
async fn what_cannot_be_run_is_named() {
    let bed = bed();
    let set = |name: &str| Request { environment: BTreeMap::from([(name.into(), "x".into())]), ..Request::default() };
    let many = Request { arguments: vec![String::new(); limits::PROCESS_ARGUMENTS_MAX + 1], ..Request::default() };
    let cases = [
        ("no-such-program", Request::default(), "process.not_found"),
        ("gone", Request::default(), "process.not_started"),
        ("/bin/sh", Request::default(), "process.bad_program"),
        ("../bin/sh", Request::default(), "process.bad_program"),
        ("", Request::default(), "process.bad_program"),
        ("true", arguments(&["a\0b"]), "process.bad_arguments"),
        ("true", many, "process.bad_arguments"),
        ("true", set("LD_PRELOAD"), "process.environment"),
        ("true", set("PATH"), "process.environment"),
        ("true", set("A=B"), "process.environment"),
        ("true", set(""), "process.environment"),
    ];
    for (program, request, code) in cases {
        let error = bed.run(program, request).await.expect_err(program);
        assert_eq!(error.code(), code, "{program}");
        let fault = Fault::from(error);
        assert!(fault.hint.is_some_and(|hint| !hint.is_empty()), "{program}");
    }
    let granted = Grants { process: vec!["git".into()], ..Grants::default() };
    let denied = permit::process(&granted, "sh").expect_err("not granted");
    assert_eq!(denied.line, r#"permissions = { process = { "git", "sh" } }"#);
    let programs = BTreeMap::from([("x".to_owned(), "bin/x".into())]);
    let files = Files::new(fs::Options::default()).expect("no roots");
    let refused = Processes::new(Options { programs, keeper: None }, files, Clock::system(), Masker::default());
    assert_eq!(refused.expect_err("relative").code(), "process.setup");
}
