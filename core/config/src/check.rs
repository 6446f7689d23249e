//! What must hold between the parts of a config: names exist, and parts fit each other.

mod alert;
mod escalation;
mod history;
mod names;
mod priority;
mod process;
mod routing;
mod segmentation;

use gantry_model::spec::Spec;

use crate::finding::Findings;
use crate::tree::Node;

pub(crate) use history::KEY as HISTORY_KEY;

/// Checks the whole config.
pub(crate) fn check(tree: &Node, spec: &Spec, findings: &mut Findings) {
    let mut checker = Checker { tree, spec, findings };
    checker.hub();
    checker.attributes();
    checker.captures();
    checker.lookups();
    checker.callbacks();
    checker.alerts();
    checker.rules();
    checker.decision_tables();
    checker.routing();
    checker.department_parts();
    checker.capacity_rules();
    checker.fairness();
    checker.priorities();
    checker.processes();
}

struct Checker<'c> {
    tree: &'c Node,
    spec: &'c Spec,
    findings: &'c mut Findings,
}
