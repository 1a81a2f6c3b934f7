//! The page "Write your first job", line by line: its files are saved, its commands are run, and what it says that they
//! print is printed.

use crate::support::{TestApp, eventually};

/// What stands between fences, in order: the language and the text.
fn blocks(document: &str) -> Vec<(&str, &str)> {
    let fenced = document.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// Words as a shell splits them; the page needs no more of one.
fn words(command: &str) -> Vec<&str> {
    command.split_whitespace().skip(1).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_page_works_as_it_stands() {
    let app = TestApp::start().await;
    // The command line finds the scripts where the daemon does.
    let (mut files, mut commands) = (0, 0);
    for (language, text) in blocks(include_str!("../../docs/first_job.md")) {
        match language {
            "lua" => {
                let path =
                    text.lines().next().and_then(|line| line.strip_prefix("-- scripts/")).expect("a file's name");
                app.write_script(path, text);
                files += 1;
                if !path.ends_with("_test.lua") {
                    eventually("the daemon has taken it up", || async {
                        let job = app.api.get("/api/v1/jobs/room").await;
                        let described = text.lines().find(|line| line.contains("description")).unwrap_or_default();
                        let is_new = job.body["description"].as_str().is_some_and(|words| described.contains(words));
                        is_new.then_some(())
                    })
                    .await;
                }
            }
            "console" => {
                for step in text.split("$ ").skip(1) {
                    let (command, expected) = step.split_once('\n').expect("a command ends its line");
                    let said = app.cli.run(&words(command)).await.said();
                    for line in expected.lines().filter(|line| !line.trim().is_empty()) {
                        assert!(said.contains(line.trim()), "$ {command}\n{said}\nhas no {line:?}");
                    }
                    commands += 1;
                }
            }
            other => panic!("a block of {other:?}"),
        }
    }
    assert!(files >= 4 && commands >= 9, "{files} files and {commands} commands were found");
}
