//! Transcripts that look like those of people and of programs, the same each time.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;

const PEOPLE: [&str; 12] =
    ["Ada", "Grace", "Linus", "Margaret", "Dennis", "Barbara", "Ken", "Radia", "Donald", "Frances", "Edsger", "Hedy"];
const THINGS: [&str; 16] = [
    "Billing API",
    "Postgres Cluster",
    "Screenshot Service",
    "Node Seven",
    "Graph Store",
    "Night Backup",
    "Mail Relay",
    "Edge Proxy",
    "Shop Frontend",
    "Audit Log",
    "Token Vault",
    "Search Index",
    "Build Farm",
    "Cache Layer",
    "Status Page",
    "Data Lake",
];
const VERBS: [&str; 6] = ["depends on", "runs on", "talks to", "uses", "replaced", "belongs to"];
const FILLER: [&str; 8] = [
    "it took longer than we thought, mostly because nobody had looked at the logs before",
    "we should write that down before the next maintenance window, or we forget it again",
    "the alert fired twice in the night and went away by itself both times",
    "I would rather wait until the backup is through and the disks are quiet again",
    "somebody has to look at the numbers of last week, they were better than expected",
    "see https://wiki.example.com/runbooks/7 and write to ops@example.com if it happens again",
    "that is what the customer asked for, and it is what we promised for this month",
    "there is a ticket for it under #reliability, with all the details that we have",
];

/// A small generator of its own.
struct Dice(u64);

impl Dice {
    fn of(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % count
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.of(list.len())]
    }
}

/// Writes `count` transcripts of `lines` utterances each, and gives how many bytes they have.
pub fn write(folder: &Path, count: usize, lines: usize) -> usize {
    fs::create_dir_all(folder.join("chats")).expect("a folder");
    let mut dice = Dice(0x005e_ed0f_7a1c);
    let mut bytes = 0;
    for number in 0..count {
        let is_chat = number % 2 == 1;
        let text = if is_chat { chat(&mut dice, number, lines) } else { meeting(&mut dice, number, lines) };
        let name = if is_chat { format!("chats/{number:03}.jsonl") } else { format!("meeting-{number:03}.txt") };
        bytes += text.len();
        fs::write(folder.join(name), text).expect("a transcript");
    }
    bytes
}

fn sentence(dice: &mut Dice) -> String {
    let filler = dice.pick(&FILLER);
    match dice.of(3) {
        0 => format!("I think the {} {} the {}, {filler}.", dice.pick(&THINGS), dice.pick(&VERBS), dice.pick(&THINGS)),
        1 => format!("{} {} {}. So {filler}.", dice.pick(&THINGS), dice.pick(&VERBS), dice.pick(&THINGS)),
        _ => format!("Maybe {} knows more, {filler}.", dice.pick(&PEOPLE)),
    }
}

fn moment(number: usize, line: usize) -> String {
    format!(
        "2026-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        1 + number % 11,
        1 + number % 28,
        8 + line / 3600,
        line / 60 % 60,
        line % 60
    )
}

fn meeting(dice: &mut Dice, number: usize, lines: usize) -> String {
    let mut text = format!("Meeting {number} of the platform team\n\n");
    for line in 0..lines {
        let _ = writeln!(text, "[{}] {}: {}", moment(number, line), dice.pick(&PEOPLE), sentence(dice));
    }
    text
}

fn chat(dice: &mut Dice, number: usize, lines: usize) -> String {
    let mut text = format!("{}\n", json!({ "type": "summary", "summary": format!("session {number}") }));
    for line in 0..lines {
        let role = if line % 2 == 0 { "user" } else { "assistant" };
        let content = json!([{ "type": "text", "text": sentence(dice) }, { "type": "tool_use", "id": line }]);
        let record =
            json!({ "type": role, "timestamp": moment(number, line), "message": { "role": role, "content": content } });
        let _ = writeln!(text, "{record}");
    }
    text
}
