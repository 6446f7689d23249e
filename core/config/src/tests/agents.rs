//! Files of agents: what is read, and what is said to mistakes.

use gantry_model::spec::Spec;
use gantry_model::{AgentProfile, Name};
use proptest::prelude::*;

use super::{GOOD, checked};
use crate::agents::check_agents;
use crate::{CheckedAgents, render_human};

fn spec() -> Spec {
    checked(GOOD).spec.unwrap()
}

fn read(text: &str) -> CheckedAgents {
    check_agents("agents.csv", text, Some(&spec()))
}

#[test]
fn every_column_is_read_whatever_the_separator() {
    let comma = "id,name,skills,groups,capacity,answer,attributes,inactive_queues\n\
                 anna,Anna B.,sales=9;legacy = 2,berlin,workitem=2; chat=3,automatic,team=a=b,\n";
    let tab = comma.replace(',', "\t");
    let quoted = "\u{feff}id;name;skills;groups;capacity;answer;attributes;inactive_queues\r\n\
                  anna;Anna B.;\"sales=9;legacy=2\";berlin;\"workitem=2;chat=3\";automatic;\
                  team=a=b;\r\n";
    for text in [comma, &tab, quoted] {
        let read = read(text);
        assert_eq!(read.findings, []);
        let [line] = read.agents.as_slice() else { panic!("{read:?}") };
        assert_eq!((line.line, line.id().as_str()), (2, "anna"));
        let profile = line.profile(None);
        assert_eq!(profile.name, "Anna B.");
        assert_eq!((profile.level("sales"), profile.level("legacy")), (9, 2));
        assert!(profile.groups.contains("berlin"));
        assert_eq!((profile.capacity["workitem"], profile.capacity["chat"]), (2, 3));
        assert_eq!(profile.attributes["team"], "a=b");
        assert!(profile.answer.is_some() && profile.inactive_queues.is_empty());
    }
}

#[test]
fn what_has_no_column_stays_and_what_is_empty_goes() {
    let read = read("id,skills,capacity\nanna,,\n");
    let mut now = AgentProfile::new("anna");
    now.name = "Anna".into();
    now.skills.insert(Name::new("sales"), 9);
    now.capacity.insert(Name::new("workitem"), 5);
    let profile = read.agents[0].profile(Some(&now));
    assert_eq!(profile.name, "Anna");
    assert!(profile.skills.is_empty());
    assert_eq!(profile.capacity["workitem"], 1, "no capacity at all is not what empty means");
}

#[test]
fn bad_lines_are_told_and_the_others_go_on() {
    let text = "id,name,skills,groups,capacity,capacity_rule\n\
                anna,Anna,sals=9,berlin,,\n\
                ben,Ben,sales=9,berlin,,\n\
                ,Nobody,,,,\n\
                ben,Again,,,,\n\
                \"c\ne\",New line,,,,\n\
                dora,Dora,sales=900,\"berlin;lisbon\",chat,blended\n\
                emil,Emil,,,,,,\n\
                finn\n";
    let read = read(text);
    let right: Vec<_> = read.agents.iter().map(|line| (line.line, line.id().as_str())).collect();
    assert_eq!(right, [(3, "ben"), (10, "finn")]);
    insta::assert_snapshot!("agents", render_human(&read.findings, &read.sources));
}

#[test]
fn a_file_whose_columns_are_wrong_gives_no_agents() {
    for (text, codes) in [
        ("", &["GANTRY-C005"][..]),
        ("ID,name\nanna,Anna\n", &["GANTRY-C003", "GANTRY-C005"]),
        ("id,name,name\nanna,Anna,A\n", &["GANTRY-C008"]),
        ("id,nam\nanna,Anna\n", &["GANTRY-C003"]),
        ("id,name\nanna,\"Anna\n", &["GANTRY-C025"]),
    ] {
        let read = read(text);
        let found: Vec<_> = read.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(found, codes, "{text:?}");
        assert!(read.agents.is_empty());
    }
}

#[test]
fn without_a_config_names_are_not_checked() {
    let read = check_agents("agents.csv", "id,skills\nanna,anything=9\n", None);
    assert_eq!(read.findings, []);
    assert_eq!(read.agents[0].profile(None).level("anything"), 9);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(id|,|;|=|\"|\n|sales|ä|[0-9]|\r|\t){0,60}") {
        let read = read(&text);
        for finding in &read.findings {
            prop_assert!(text.get(finding.span.clone()).is_some(), "{finding:?}");
        }
    }
}
