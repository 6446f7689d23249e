//! Business calendars through the command line: vectors from outside, bad lines, the picture.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Calendars and nothing else: no hub would start on it.
const OFFICE: &str = r#"
[calendar.office]
timezone = "Europe/Berlin"
hours = { mon-fri = ["08:00-12:00", "13:00-17:00"] }
holidays = ["12-25", { ics = "days.ics" }]

[calendar.broken]
timezone = "Europe/Berlin"
hours = { mon = "17:00-08:00" }
"#;
const DAYS: &str = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Boxing Day\r\n\
    DTSTART;VALUE=DATE:20221226\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

/// Runs `gantry calendar eval` on questions; its exit code, answers and complaints.
async fn eval(folder: &Path, questions: &str) -> Result<(Option<i32>, Vec<Value>, String)> {
    let mut running = Command::new(built::gantry())
        .args(["calendar", "eval"])
        .current_dir(folder)
        .env_remove("GANTRY_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = running.stdin.take().context("no stdin")?;
    // Answers fit into the pipe, so nothing waits for the other side.
    stdin.write_all(questions.as_bytes()).await?;
    drop(stdin);
    let output = running.wait_with_output().await?;
    let answers = String::from_utf8(output.stdout)?;
    let answers = answers.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok((output.status.code(), answers, String::from_utf8(output.stderr)?))
}

fn office() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("gantry.toml"), OFFICE)?;
    fs::write(folder.path().join("days.ics"), DAYS)?;
    Ok(folder)
}

#[tokio::test]
async fn every_line_is_answered_in_order_and_a_bad_one_tells_why() -> Result<()> {
    let folder = office()?;
    let add = r#"{"op":"add","calendar":"office","start":"2025-12-24T16:00:00Z","duration":"1h"}"#;
    let questions = [add, "{", &add.replace("office", "broken"), add].join("\n");
    let (code, answers, stderr) = eval(folder.path(), &questions).await?;
    ensure!(code == Some(1) && stderr.is_empty(), "{code:?}: {stderr}");
    let [first, second, third, fourth] = answers.as_slice() else {
        anyhow::bail!("{answers:?}");
    };
    // Christmas Day is in the config, Boxing Day, a Friday, in the file.
    ensure!(*first == json!({ "result": "2025-12-29T08:00:00Z" }) && first == fourth, "{first}");
    ensure!(second["error"].as_str().is_some_and(|error| error.contains("question")), "{second}");
    ensure!(third["error"].as_str().is_some_and(|error| error.contains("broken")), "{third}");
    let (code, answers, _) = eval(folder.path(), add).await?;
    ensure!(code == Some(0) && answers == [first.clone()], "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn a_config_without_calendars_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (code, answers, stderr) = eval(folder.path(), "").await?;
    ensure!(code == Some(2) && answers.is_empty(), "{code:?}: {answers:?}");
    ensure!(stderr.contains("gantry check"), "{stderr}");
    Ok(())
}

#[tokio::test]
async fn a_year_is_shown_to_people_and_programs() -> Result<()> {
    let folder = office()?;
    let shown = ["calendar", "show", "office", "--year", "2025"];
    let text = gantry_tests::cli::gantry(folder.path(), &shown).await?;
    ensure!(text.code == 0 && text.stdout.contains("2025-12-26 fri  closed"), "{text:?}");
    ensure!(text.stdout.contains("Boxing Day"), "{text:?}");
    let json = [&shown[..], &["--json"]].concat();
    let json = gantry_tests::cli::gantry(folder.path(), &json).await?.json()?;
    ensure!(json["exceptions"][1]["date"] == "2025-12-26", "{json}");
    let wrong = ["calendar", "show", "broken"];
    let wrong = gantry_tests::cli::gantry(folder.path(), &wrong).await?;
    ensure!(wrong.code == 2 && wrong.stderr.contains("without mistakes"), "{wrong:?}");
    Ok(())
}

#[tokio::test]
async fn vectors_from_outside_get_their_answers() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent);
    let file = root.context("no root")?.join("shared/vectors/kadai_worktime_cases.json");
    let Ok(text) = fs::read_to_string(&file) else {
        eprintln!("SKIPPED: there is no {}", file.display());
        return Ok(());
    };
    let vectors: Value = serde_json::from_str(&text)?;
    let folder = tempfile::tempdir()?;
    let calendars = vectors["calendars"].as_object().context("no calendars")?;
    let toml: String = calendars.iter().map(|(name, calendar)| toml(name, calendar)).collect();
    fs::write(folder.path().join("gantry.toml"), toml)?;
    let mut questions = String::new();
    let mut expected = Vec::new();
    for case in vectors["cases"].as_array().context("no cases")? {
        let (start, end) = if case["op"] == "between" { ("from", "to") } else { ("start", "") };
        if !["add", "subtract", "between"].contains(&case["op"].as_str().unwrap_or("")) {
            continue;
        }
        let question = json!({
            "op": case["op"],
            "calendar": case["calendar"],
            "start": case[start],
            "end": case.get(end),
            "duration": case.get("duration"),
        });
        writeln!(questions, "{question}")?;
        expected.push((case["id"].clone(), case["expected"].clone()));
    }
    ensure!(expected.len() == 41, "{} cases", expected.len());
    let (code, answers, stderr) = eval(folder.path(), &questions).await?;
    // Two of them ask for a negative duration.
    ensure!(code == Some(1) && stderr.is_empty(), "{code:?}: {stderr}");
    ensure!(answers.len() == expected.len(), "{} answers", answers.len());
    for ((id, expected), answer) in expected.iter().zip(&answers) {
        let right = match expected {
            Value::Object(_) => answer["error"].as_str().is_some_and(|e| e.contains("negative")),
            _ => answer["result"] == *expected,
        };
        ensure!(right, "{id}: expected {expected}, got {answer}");
    }
    Ok(())
}

/// A calendar of the vectors, as an operator would write it.
fn toml(name: &str, calendar: &Value) -> String {
    let slots = calendar["slots"].as_object().into_iter().flatten().map(|(day, slots)| {
        let spans = slots.as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let spans = spans.map(|span| format!("{}-{}", text(&span[0]), text(&span[1])));
        format!("{} = {:?}", day.to_lowercase(), spans.collect::<Vec<_>>())
    });
    let holidays = &calendar["holidays"];
    let fixed = ["fixed_mm_dd", "custom_mm_dd"].into_iter();
    let fixed = fixed.flat_map(|key| holidays[key].as_array().into_iter().flatten());
    let fixed = fixed.map(ToString::to_string);
    let easter = holidays["easter_offsets_days"].as_array().into_iter().flatten();
    let easter = easter.filter_map(Value::as_i64).map(|offset| format!("\"easter{offset:+}\""));
    format!(
        "[calendar.{name}]\ntimezone = {}\nhours = {{ {} }}\nholidays = [{}]\n",
        calendar["zone"],
        slots.collect::<Vec<_>>().join(", "),
        fixed.chain(easter).collect::<Vec<_>>().join(", ")
    )
}
