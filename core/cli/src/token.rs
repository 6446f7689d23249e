//! `gantry token`: issues tokens. They are signed, so the hub needs no list of them; a new key
//! file makes all of them worthless.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use gantry_model::{Millis, Name};
use gantry_server::place::Place;
use gantry_web::{Claims, Key, Role};
use serde_json::json;

use crate::{Global, table};

#[derive(Args)]
#[command(after_help = "Example:\n  gantry token --role agent --agent anna --expires 90d\n  \
    gantry token --role integrator --capture-point leads --name crm")]
pub(crate) struct Options {
    /// What the bearer may do.
    #[arg(long)]
    role: RoleName,
    /// Role agent: whose desk.
    #[arg(long)]
    agent: Option<String>,
    /// Role integrator: the only capture point it may use.
    #[arg(long)]
    capture_point: Option<String>,
    /// Name of the person or program, for the journal; an agent's id if not given.
    #[arg(long)]
    name: Option<String>,
    /// How long it is good for, as in `90d`; without it there is no end.
    #[arg(long)]
    expires: Option<Millis>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Works at one desk.
    Agent,
    /// Sees and steers all work.
    Supervisor,
    /// Everything.
    Administrator,
    /// Captures only.
    Integrator,
    /// Reads only.
    Auditor,
}

pub(crate) fn issue(global: &Global, options: Options) -> Result<()> {
    let Options { role, agent, capture_point, name, expires } = options;
    if agent.is_some() && role != RoleName::Agent {
        bail!("--agent goes with --role agent only");
    }
    if capture_point.is_some() && role != RoleName::Integrator {
        bail!("--capture-point goes with --role integrator only");
    }
    let capture_point = capture_point.map(Name::from);
    let label = role.to_possible_value().map(|value| value.get_name().to_owned());
    let role = match role {
        RoleName::Agent => {
            let agent = agent.clone().context("--role agent wants --agent ID")?;
            Role::Agent { agent: agent.into() }
        }
        RoleName::Supervisor => Role::Supervisor,
        RoleName::Administrator => Role::Administrator,
        RoleName::Integrator => Role::Integrator { capture_point },
        RoleName::Auditor => Role::Auditor,
    };
    let name = name.or(agent).or(label).unwrap_or_default();
    let place = Place::of(&global.config)?;
    let key = Key::load_or_create(&place.key_file())?;
    let expires_at = expires.map(|span| gantry_server::wall_clock().plus(span));
    let token = key.issue(&Claims { name: name.into(), role, expires_at });
    if global.json {
        table::json(&json!({ "token": token, "expires_at": expires_at }));
    } else {
        say!("{token}");
    }
    Ok(())
}
