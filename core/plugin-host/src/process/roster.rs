//! What stands in a plug-in's process: its instances and attachments as the hub made them, so that
//! they can be made again in the next process.

use std::collections::BTreeMap;

use gantry_plugin_api::message::Opcode;

/// Instances and attachments by target. Attachments have higher targets than their instance.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    opcode: Opcode,
    request: Vec<u8>,
    made: bool,
}

/// What to ask a new process for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remade {
    pub(crate) target: u64,
    pub(crate) opcode: Opcode,
    pub(crate) request: Vec<u8>,
}

impl Roster {
    /// An operation starts: what it makes is noted, what it forgets is forgotten.
    pub(crate) fn starts(&mut self, opcode: Opcode, target: u64, request: &[u8]) {
        match opcode {
            Opcode::Create | Opcode::Attach => {
                let entry = Entry { opcode, request: request.to_vec(), made: false };
                self.entries.insert(target, entry);
            }
            Opcode::Detach | Opcode::Destroy => {
                self.entries.remove(&target);
            }
            _ => {}
        }
    }

    /// An operation has ended: what could not be made is forgotten.
    pub(crate) fn ended(&mut self, opcode: Opcode, target: u64, ok: bool) {
        if !matches!(opcode, Opcode::Create | Opcode::Attach) {
            return;
        }
        if !ok {
            self.entries.remove(&target);
        } else if let Some(entry) = self.entries.get_mut(&target) {
            entry.made = true;
        }
    }

    /// What was made with one opcode, in the order it was made.
    pub(crate) fn made(&self, opcode: Opcode) -> Vec<Remade> {
        let made = self.entries.iter().filter(|(_, entry)| entry.made && entry.opcode == opcode);
        made.map(|(target, Entry { opcode, request, .. })| Remade {
            target: *target,
            opcode: *opcode,
            request: request.clone(),
        })
        .collect()
    }
}
