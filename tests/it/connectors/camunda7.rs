//! `camunda7` on real engines: external tasks of Camunda 7, user tasks of Operaton, which speak the
//! same REST.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use gantry_tests::built;
use gantry_tests::connector::{self, Case, Deletion, Setup, SourceSystem};
use gantry_tests::peers::engine::{Engine, Product, endpoint};
use gantry_tests::proxy::Proxy;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

/// The user whom the hub signs in as.
const USER: &str = "gantry";
const PASSWORD: &str = "a-password-that-nobody-prints";
const NO_CLOCK: &str = "bounds are taken from the engine's own clock, its header `Date`";
const NO_THROTTLE: &str =
    "the engine never asks to wait; proxies that do: the connector's own tests";
const NO_TOKEN: &str = "the engine knows users and passwords, which do not end";
const NO_CHANGE: &str = "an external task is lent with its variables and does not change then";
const NO_MOMENT: &str = "the engine itself stamps its tasks, as it commits them";
const NO_CURSOR: &str = "a place in the list is a time, which never expires";

/// Which tasks are captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    External,
    User,
}

/// A private engine with two processes.
struct Bpm {
    kind: Kind,
    engine: Engine,
    proxy: Proxy,
    /// Task and process instance.
    instances: BTreeMap<String, String>,
    /// What further processes are begun with.
    more: Value,
}

#[tokio::test]
async fn external_tasks_of_camunda_keep_all_promises() -> Result<()> {
    prove(Product::Camunda7, Kind::External).await
}

#[tokio::test]
async fn user_tasks_of_operaton_keep_all_promises() -> Result<()> {
    prove(Product::Operaton, Kind::User).await
}

async fn prove(product: Product, kind: Kind) -> Result<()> {
    let started = Engine::start_with(product, Some((USER, PASSWORD))).await?;
    let Some(engine) = started else { return Ok(()) };
    let proxy = Proxy::start(([127, 0, 0, 1], engine.port).into()).await?;
    let (instances, more) = (BTreeMap::new(), json!({}));
    connector::prove(&mut Bpm { kind, engine, proxy, instances, more }).await
}

impl Bpm {
    /// The open tasks of an instance.
    async fn tasks(&self, instance: &str) -> Result<Vec<String>> {
        let list = match self.kind {
            Kind::External => "external-task",
            Kind::User => "task",
        };
        let tasks = self.engine.get(&format!("{list}?processInstanceId={instance}")).await?;
        let ids = tasks.as_array().context("no list of tasks")?.iter();
        ids.map(|task| Ok(task["id"].as_str().context("a task without id")?.to_owned())).collect()
    }

    /// Begins a process; gives its tasks.
    async fn begin(&mut self, text: &str, n: usize) -> Result<Vec<String>> {
        let mut variables = self.more.clone();
        variables["subject"] = json!({ "value": text });
        variables["n"] = json!({ "value": n });
        let process = match self.kind {
            Kind::External => "claim",
            Kind::User => "signatures",
        };
        let instance = self.engine.begin(process, text, &variables).await?;
        let tasks = self.tasks(&instance).await?;
        let pairs = tasks.iter().map(|task| (task.clone(), instance.clone()));
        self.instances.extend(pairs);
        Ok(tasks)
    }

    /// Cancels the process of a task that an agent has.
    async fn cancel(&self, task: &str) -> Result<()> {
        if self.kind == Kind::User {
            // At the same moment as the claim the engine would refuse one of the two.
            let claimed = |task: &Value| task["assignee"].is_string();
            self.engine.until(&format!("task/{task}"), claimed).await?;
        }
        let instance = self.instances.get(task).context("no such task")?;
        self.engine.send(Method::DELETE, &format!("process-instance/{instance}")).await.map(drop)
    }
}

#[async_trait]
impl SourceSystem for Bpm {
    fn name(&self) -> String {
        match self.kind {
            Kind::External => "camunda7, external".to_owned(),
            Kind::User => "camunda7, user".to_owned(),
        }
    }

    fn waived(&self) -> Vec<(Case, &'static str)> {
        let mut waived = vec![
            (Case::ClockSkew, NO_CLOCK),
            (Case::Throttled, NO_THROTTLE),
            (Case::TokenExpiry, NO_TOKEN),
            (Case::LateCommit, NO_MOMENT),
        ];
        match self.kind {
            Kind::External => {
                waived.push((Case::Updated, NO_CHANGE));
                waived.push((Case::SameTimestamp, NO_MOMENT));
            }
            Kind::User => waived.push((Case::CursorExpired, NO_CURSOR)),
        }
        waived
    }

    fn config(&self, setup: &Setup) -> String {
        let case = match self.kind {
            Kind::External => "connectors/camunda7_external.toml",
            Kind::User => "connectors/camunda7_user.toml",
        };
        // Each open task is extended after a third of its lock, and where a task is deleted the
        // suite waits for that; thousands of open ones (`GANTRY_CASE=exactly_once`) need it longer.
        let many = std::env::var_os("GANTRY_RECORDS").is_some();
        built::case(case)
            .expect("invariant: the case lies beside the tests")
            .replace("@LOCK@", if many { "2m" } else { "20s" })
            .replace("@ENDPOINT@", &endpoint(self.proxy.port()))
            .replace("@BATCH@", &setup.batch.to_string())
    }

    fn env(&self, setup: &Setup) -> Vec<(String, String)> {
        let password = if setup.right_password { PASSWORD } else { "a-password-that-is-wrong" };
        vec![("ENGINE_PASSWORD".to_owned(), password.to_owned())]
    }

    fn proxy(&self) -> Option<&Proxy> {
        Some(&self.proxy)
    }

    async fn clear(&mut self) -> Result<()> {
        // Who comes with a wrong password is locked out for a while.
        self.engine.send(Method::POST, &format!("user/{USER}/unlock")).await?;
        let deployments = self.engine.get("deployment").await?;
        for deployment in deployments.as_array().context("no list of deployments")? {
            let id = deployment["id"].as_str().context("a deployment without id")?;
            let path = format!("deployment/{id}?cascade=true");
            self.engine.send(Method::DELETE, &path).await?;
        }
        for name in ["claim", "signatures"] {
            let bpmn = built::case(&format!("connectors/{name}.bpmn"))?;
            self.engine.deploy(name, &bpmn).await?;
        }
        self.instances.clear();
        self.more = json!({});
        Ok(())
    }

    async fn put(&mut self, texts: &[String]) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for text in texts {
            ids.extend(self.begin(text, 1).await?);
        }
        Ok(ids)
    }

    async fn put_at(&mut self, texts: &[String], _: Timestamp) -> Result<Vec<String>> {
        // One transaction makes them, so their moments are the same or nearly so.
        self.begin("of one moment", texts.len()).await
    }

    async fn change(&mut self, id: &str, name: &str) -> Result<()> {
        let path = format!("task/{id}");
        let mut task = self.engine.get(&path).await?;
        task["name"] = name.into();
        self.engine.put(&path, &task).await.map(drop)
    }

    async fn completions(&mut self, id: &str) -> Result<usize> {
        let path = match self.kind {
            Kind::External => {
                format!("history/external-task-log/count?externalTaskId={id}&successLog=true")
            }
            Kind::User => format!("history/task/count?taskId={id}&taskDeleteReason=completed"),
        };
        let count = self.engine.get(&path).await?;
        Ok(usize::try_from(count["count"].as_u64().context("no count")?)?)
    }

    fn completion_holds(&self, id: &str) -> Vec<u8> {
        format!("task/{id}/complete").into_bytes()
    }

    async fn delete(&mut self, id: &str) -> Result<()> {
        self.cancel(id).await
    }

    fn deletion(&self) -> Deletion {
        Deletion::Withdraws
    }

    async fn withdraw(&mut self, id: &str) -> Result<()> {
        self.cancel(id).await
    }

    async fn add_unknown_field(&mut self) -> Result<()> {
        self.more = json!({
            "when": { "value": "2026-01-02T03:04:05.678+0000", "type": "Date" },
            "file": { "value": "aGVsbG8=", "type": "File", "valueInfo": { "filename": "a.txt" } },
            "bytes": { "value": "aGVsbG8=", "type": "Bytes" },
            "nothing": { "value": null, "type": "Null" },
        });
        Ok(())
    }

    async fn expire_cursor(&mut self) -> Result<()> {
        // As if all locks had ended.
        for task in self.instances.keys() {
            self.engine.send(Method::POST, &format!("external-task/{task}/unlock")).await?;
        }
        Ok(())
    }

    fn remedy(&self) -> &'static str {
        "check the user and the password"
    }

    fn can_be_killed(&self) -> bool {
        // Java takes its time to start: `crate::camunda7` kills engines in ordinary runs.
        std::env::var_os("GANTRY_KILLS").is_some()
    }

    async fn kill_and_start(&mut self) -> Result<()> {
        self.engine.restart().await
    }
}
