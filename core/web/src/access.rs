//! Who asks, and whether they may: tokens from the header or the page's cookie, roles, and the
//! checks on single objects.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use gantry_model::{Actor, AgentId, WorkItem, Workbin};

use crate::app::Shared;
use crate::problem::{self, Problem};
use crate::token::{Claims, Role};

/// Cookie in which a page keeps its token.
pub(crate) const COOKIE: &str = "gantry_session";

/// Something that a role may or may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    Capture,
    SendMessage,
    ReadItem,
    ListItems,
    ReadQueue,
    ReadAgents,
    WriteAgents,
    ReadDesk,
    SetPresence,
    Work,
    Follow,
    ReadDeadLetters,
    SettleDeadLetters,
    ReadStatus,
    /// Watch records as they are captured.
    Tap,
    /// Pause and resume capture points, ask a source now.
    OperateCapture,
    /// Run another file of a plug-in, or another version of the config.
    Reload,
    /// Move the position from which a source is read.
    MovePosition,
    ReadConfig,
    /// Move single items: transfer, park, pull, give back.
    Move,
    /// Overrule the order of things: boost, retrieve.
    Steer,
    ReadWorkbins,
    /// Say what another system carries for an agent, and ask who goes next.
    ReportLoad,
}

/// Whoever sent the request, authenticated.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Claims);

impl Role {
    /// The matrix of roles and permissions. What a role may do to single objects is narrowed
    /// further by [`Caller`].
    pub(crate) const fn may(&self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Agent { .. } => matches!(
                permission,
                P::ReadItem
                    | P::ListItems
                    | P::ReadDesk
                    | P::SetPresence
                    | P::Work
                    | P::Follow
                    | P::Move
                    | P::ReadWorkbins
            ),
            Self::Supervisor => !matches!(
                permission,
                P::Capture | P::WriteAgents | P::Work | P::ReportLoad | P::MovePosition | P::Reload
            ),
            Self::Administrator => !matches!(permission, P::Work),
            Self::Integrator { .. } => {
                matches!(permission, P::Capture | P::SendMessage | P::ReadItem | P::ReportLoad)
            }
            Self::Auditor => matches!(
                permission,
                P::ReadItem
                    | P::ListItems
                    | P::ReadQueue
                    | P::ReadAgents
                    | P::ReadDesk
                    | P::Follow
                    | P::ReadDeadLetters
                    | P::ReadStatus
                    | P::Tap
                    | P::ReadConfig
                    | P::ReadWorkbins
            ),
        }
    }
}

impl Caller {
    /// Refuses unless the role allows it.
    pub(crate) fn must(&self, permission: Permission) -> Result<(), Problem> {
        if self.0.role.may(permission) {
            return Ok(());
        }
        let role = self.0.role.as_str();
        let detail = format!("{:?} has role {role}, which may not do this", self.0.name);
        Err(Problem::new(&problem::ROLE, detail))
    }

    /// Refuses a capture point that the token does not name.
    pub(crate) fn must_own_capture_point(&self, capture_point: &str) -> Result<(), Problem> {
        match &self.0.role {
            Role::Integrator { capture_point: Some(own) } if own != capture_point => {
                let detail = format!("the token is for capture point {own:?} only");
                Err(Problem::new(&problem::NOT_YOURS, detail))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an item that is with another agent, or of another capture point.
    pub(crate) fn must_own(&self, item: &WorkItem) -> Result<(), Problem> {
        match &self.0.role {
            Role::Agent { agent } if item.agent() != Some(agent) && !in_own_bin(item, agent) => {
                let detail = format!("work item {} is not with agent {agent:?}", item.id);
                Err(Problem::new(&problem::NOT_YOURS, detail))
            }
            _ => self.must_own_capture_point(&item.capture_point),
        }
    }

    /// Refuses the desk of another agent.
    pub(crate) fn must_be(&self, agent: &str) -> Result<(), Problem> {
        match &self.0.role {
            Role::Agent { agent: own } if own != agent => {
                let detail = format!("the token is for agent {own:?} only");
                Err(Problem::new(&problem::NOT_YOURS, detail))
            }
            _ => Ok(()),
        }
    }

    /// The agent whose desk this is, if it is one's.
    pub(crate) const fn agent(&self) -> Option<&AgentId> {
        match &self.0.role {
            Role::Agent { agent } => Some(agent),
            _ => None,
        }
    }

    /// The agent, for what only agents do.
    pub(crate) fn working_agent(&self) -> Result<&AgentId, Problem> {
        self.must(Permission::Work)?;
        Ok(self.agent().expect("invariant: only agents may work"))
    }

    /// Who the journal says it was.
    pub(crate) fn actor(&self) -> Actor {
        match &self.0.role {
            Role::Agent { agent } => Actor::Agent(agent.clone()),
            Role::Integrator { capture_point: Some(point) } => Actor::Source(point.clone()),
            _ => Actor::User(self.0.name.clone()),
        }
    }
}

fn in_own_bin(item: &WorkItem, agent: &AgentId) -> bool {
    matches!(item.workbin(), Some(Workbin::Agent(owner)) if owner == agent)
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let now = app.hub.now();
        if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
            let token = token.ok_or_else(no_token)?;
            return Ok(Self(app.key.verify(token.trim(), now)?));
        }
        let token = session_cookie(&parts.headers).ok_or_else(no_token)?;
        let caller = Self(app.key.verify(token, now)?);
        if !parts.method.is_safe() {
            must_be_same_origin(&parts.headers)?;
        }
        Ok(caller)
    }
}

fn no_token() -> Problem {
    let detail = "send a token: Authorization: Bearer gantry_…; gantry token makes one";
    Problem::new(&problem::NO_TOKEN, detail)
}

/// The token that a page signed in with.
pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && !value.is_empty())
        .map(|(_, value)| value)
}

/// Refuses a request that another site made the browser send along with our cookie.
///
/// Source: the Fetch Metadata headers (W3C), which browsers set and scripts cannot; for older
/// browsers the `Origin` header, compared with the host that was asked.
pub(crate) fn must_be_same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let same = match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
        }
        _ => false,
    };
    if same {
        return Ok(());
    }
    let detail = "a page's session is good for requests of this site only; send a bearer token";
    Err(Problem::new(&problem::CROSS_SITE, detail))
}
