//! Reads the rules that give an item its process.

use gantry_model::spec::{SegmentLevel, SegmentRule};

use crate::finding::Findings;
use crate::table::{Table, check_name, list};
use crate::tree::Node;

pub(super) fn rules(node: &Node, findings: &mut Findings) -> Vec<SegmentRule> {
    let nodes = list("`segmentation`", node, findings);
    let mut rules = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        let mut table = Table::open(format!("rule {} of [[segmentation]]", at + 1), node, findings);
        if let Some(id) = table.name("id", findings) {
            table.title = format!("rule `{id}`");
            let place = table.get("id").map_or(node.key, |id| id.place);
            check_name("a rule", &id, place, findings);
        }
        rules.push(rule(&mut table, findings));
        table.close(findings);
    }
    rules
}

fn rule(table: &mut Table<'_>, findings: &mut Findings) -> SegmentRule {
    table.need("level");
    SegmentRule {
        id: table.need_name("id", findings),
        level: table.choice("level", LEVELS, findings).unwrap_or(SegmentLevel::Global),
        within: table.name("within", findings),
        when: table.text("when", findings).map(str::to_owned),
        department: table.name("department", findings),
        process: table.name("process", findings),
        sla: table.duration("sla", findings),
        priority: table.name("priority", findings),
        set: table.texts("set", findings),
    }
}

const LEVELS: &[(&str, SegmentLevel)] = &[
    ("global", SegmentLevel::Global),
    ("capture", SegmentLevel::Capture),
    ("department", SegmentLevel::Department),
    ("process", SegmentLevel::Process),
];
