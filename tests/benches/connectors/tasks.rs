//! External tasks of a real Camunda 7, and a bare loop that fetches and locks them by the HTTP
//! client alone.

use std::time::{Duration, Instant};

use anyhow::Result;
use gantry_tests::peers::engine::{Engine, Product};
use serde_json::{Map, Value, json};

use crate::Pace;

/// Tasks of one process instance, which the engine makes in one transaction.
const N_AN_INSTANCE: u64 = 500;
/// The topic that the bare loop takes tasks of.
const BARE: &str = "bare";
/// The topic that the connector takes tasks of: a task is lent once.
const CAPTURED: &str = "captured";

/// An engine with as many tasks of either topic.
pub(crate) struct Tasks(Engine);

/// Of the capture point.
pub(crate) fn settings() -> Value {
    json!({ "external_tasks": { "topics": [CAPTURED], "lock": "10m", "long_poll": "0s" } })
}

impl Tasks {
    /// Starts the engine and fills it; `None` where it could not be had.
    pub(crate) async fn fill(n_tasks: u64) -> Result<Option<Self>> {
        let Some(engine) = Engine::start(Product::Camunda7).await? else { return Ok(None) };
        for topic in [BARE, CAPTURED] {
            engine.deploy(topic, &process(topic)).await?;
            let mut left = n_tasks;
            while left > 0 {
                let n = left.min(N_AN_INSTANCE);
                let subject = json!({ "value": "Please call back about the claim" });
                let variables = json!({ "subject": subject, "n": { "value": n } });
                engine.begin(topic, topic, &variables).await?;
                left -= n;
            }
        }
        Ok(Some(Self(engine)))
    }

    /// Of the source.
    pub(crate) fn config(&self) -> Value {
        json!({ "endpoint": self.0.endpoint() })
    }

    /// Fetches and locks page by page until a page is not full; each task is written as JSON.
    pub(crate) async fn read_bare(&self, page: u64, limit: Duration) -> Result<Pace> {
        let begun = Instant::now();
        let web = reqwest::Client::builder().build()?;
        let lock_ms = 600_000;
        let topic = json!({
            "topicName": BARE, "lockDuration": lock_ms, "includeExtensionProperties": true,
        });
        let fetch = json!({
            "workerId": BARE, "maxTasks": page, "usePriority": false, "topics": [topic],
        });
        let path = format!("{}/external-task/fetchAndLock", self.0.endpoint());
        let mut n = 0;
        loop {
            let answer = web.post(&path).json(&fetch).send().await?.error_for_status()?;
            let tasks: Vec<Map<String, Value>> = serde_json::from_slice(&answer.bytes().await?)?;
            for task in &tasks {
                std::hint::black_box(serde_json::to_vec(task)?);
            }
            n += tasks.len() as u64;
            if (tasks.len() as u64) < page || begun.elapsed() > limit {
                return Ok(Pace { n, took: begun.elapsed() });
            }
        }
    }
}

/// A process that waits for `n` external tasks of a topic at once.
fn process(topic: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
             xmlns:camunda="http://camunda.org/schema/1.0/bpmn"
             targetNamespace="gantry" id="definitions">
  <process id="{topic}" isExecutable="true" camunda:historyTimeToLive="30">
    <startEvent id="asked"/>
    <sequenceFlow id="f1" sourceRef="asked" targetRef="work"/>
    <serviceTask id="work" name="Work" camunda:type="external" camunda:topic="{topic}">
      <multiInstanceLoopCharacteristics isSequential="false">
        <loopCardinality>${{n}}</loopCardinality>
      </multiInstanceLoopCharacteristics>
    </serviceTask>
    <sequenceFlow id="f2" sourceRef="work" targetRef="done"/>
    <endEvent id="done"/>
  </process>
</definitions>"#
    )
}
