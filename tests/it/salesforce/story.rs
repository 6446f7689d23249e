//! The way of leads and cases from the org to an agent and back.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Scene;
use super::scene::{self, lead};

#[tokio::test]
async fn a_lead_is_called_and_its_result_stands_in_the_org() -> Result<()> {
    let Some(scene) = Scene::start(&[]).await? else { return Ok(()) };
    let account = json!({ "Name": "C-17", "Rating": "Hot" });
    scene.org.insert("Account", &[account]).await?;
    let fields = json!({
        "FirstName": "Ada", "LastName": "O'Neil", "Company": "Acme", "Status": "Open",
        "Phone": "+49 30 1", "MobilePhone": "+49 170 1", "AnnualRevenue": 1_500_000.5,
        "Description": "Wants to know all about the new machine", "Customer_Id__c": "C-17",
        "Segment__c": "Gold", "Product__c": "Machine", "Subproduct__c": "Press",
        "Request_Type__c": "Call me", "CreatedDate": "2026-01-31T12:00:00.000+0100",
    });
    let id = scene.org.insert("Lead", &[fields]).await?.remove(0);
    let item = scene.world.queued("leads", &id).await?;
    let wanted = json!({
        "external_id": id, "name": "O'Neil, Acme", "first_name": "Ada", "surname": "O'Neil",
        "contact_number": "+49 30 1", "alternative_contact_number": "+49 170 1",
        "customer_id": "C-17", "lead_description": "Wants to know all about the ne",
        "customer_segment": "Gold", "product": "Machine", "subproduct": "Press",
        "request_type": "Call me", "source_created_at": "2026-01-31T11:00:00Z", "rating": "Hot",
    });
    for (name, value) in wanted.as_object().context("no object")? {
        ensure!(item["attributes"][name] == *value, "{name} is not {value}: {item}");
    }
    ensure!(item["process"] == "sales/leads", "{item}");
    let anna = scene.anna().await?;
    scene.work(&anna, &item, "converted").await?;
    scene.event(&item, "completed").await?;
    let lead = scene.org.until("Lead", &id, |lead| lead["Status"] == "Closed").await?;
    ensure!(lead["Result__c"] == "converted", "{lead}");
    let tasks = scene.org.all("Task").await?;
    ensure!(tasks.len() == 1 && tasks[0]["WhoId"] == id, "{tasks:?}");
    ensure!(tasks[0]["IsClosed"] == true && tasks[0]["Description"] == "converted", "{tasks:?}");
    Ok(())
}

#[tokio::test]
async fn a_case_is_closed_and_that_confirms_it() -> Result<()> {
    let Some(scene) = Scene::start(&[]).await? else { return Ok(()) };
    let contact = json!({ "LastName": "Mint", "Email": "mint@acme.example" });
    let contact = scene.org.insert("Contact", &[contact]).await?.remove(0);
    let case = json!({ "Subject": "It squeaks", "Status": "New", "Priority": "High", "ContactId": contact });
    let robot = json!({ "Subject": "Beep", "Status": "New", "Origin": "Robot" });
    let ids = scene.org.insert("Case", &[robot, case]).await?;
    let item = scene.world.queued("cases", &ids[1]).await?;
    ensure!(item["attributes"]["customer_id"] == "mint@acme.example", "{item}");
    ensure!(item["attributes"]["category"] == "high", "{item}");
    let anna = scene.anna().await?;
    scene.work(&anna, &item, "solved").await?;
    // The hub waits for the org's word.
    scene.event(&item, "completed").await?;
    let case = scene.org.until("Case", &ids[1], |case| case["IsClosed"] == true).await?;
    ensure!(case["Result__c"] == "solved", "{case}");
    let items = scene.world.hub.admin.get("/items?limit=10").await?;
    ensure!(items["items"].as_array().is_some_and(|items| items.len() == 1), "{items}");
    Ok(())
}

#[tokio::test]
async fn what_changes_in_the_org_reaches_the_desk() -> Result<()> {
    let Some(scene) = Scene::start(&[]).await? else { return Ok(()) };
    let leads = [lead("Gone"), lead("Converted"), lead("Changed")];
    let ids = scene.org.insert("Lead", &leads).await?;
    let mut items = Vec::new();
    for id in &ids {
        items.push(scene.world.queued("leads", id).await?);
    }
    let change =
        json!({ "update": "Lead", "id": ids[2], "fields": { "AnnualRevenue": 5_000_000 } });
    scene.org.tell(&change).await?;
    let path = format!("/items/{}", scene::text(&items[2], "item"));
    let is_worth = |item: &serde_json::Value| item["attributes"]["deal_value"] == "5000000";
    scene.world.until(&path, is_worth).await?;
    let anna = scene.anna().await?;
    scene.accept(&anna, &items[0]).await?;
    scene.org.tell(&json!({ "delete": "Lead", "id": ids[0] })).await?;
    scene.event(&items[0], "canceled").await?;
    let converted = json!({ "update": "Lead", "id": ids[1], "fields": { "IsConverted": true } });
    scene.org.tell(&converted).await?;
    scene.event(&items[1], "completed").await?;
    let desk = anna.get("/agents/anna/desk").await?;
    let shown = desk.to_string();
    ensure!(!shown.contains(scene::text(&items[0], "item")), "still on the desk: {desk}");
    Ok(())
}

#[tokio::test]
async fn a_lead_is_converted_by_a_class_of_the_orgs() -> Result<()> {
    let write = "[callback.lead_done.settings]\nobject = \"Lead\"\nset = { Status = \"Closed\", Result__c = \":disposition\" }\n\n[[callback.lead_done.settings.create]]\nobject = \"Task\"\nkey = \"Gantry_Key__c\"\nset = { Subject = \"Call\", Status = \"Completed\", WhoId = \":external_id\", Description = \":disposition\" }\n";
    let convert = "[callback.lead_done.settings]\nobject = \"Lead\"\napex = \"/services/apexrest/convert\"\nset = { result = \":disposition\" }\n";
    let Some(scene) = Scene::start(&[(write, convert)]).await? else { return Ok(()) };
    let id = scene.org.insert("Lead", &[lead("Mint")]).await?.remove(0);
    let item = scene.world.queued("leads", &id).await?;
    let anna = scene.anna().await?;
    // The answer is lost, so the class is asked twice.
    let fault = json!({ "path": "apexrest", "late": true });
    scene.org.tell(&json!({ "faults": [fault] })).await?;
    scene.work(&anna, &item, "converted").await?;
    let lead = scene.org.until("Lead", &id, |lead| lead["IsConverted"] == true).await?;
    ensure!(lead["Result__c"] == "converted", "{lead}");
    Ok(())
}

#[tokio::test]
async fn a_stamp_that_moves_without_a_change_tells_nobody() -> Result<()> {
    let Some(scene) = Scene::start(&[]).await? else { return Ok(()) };
    let ids = scene.org.insert("Lead", &[lead("Still"), lead("Changed")]).await?;
    let item = scene.world.queued("leads", &ids[0]).await?;
    scene.world.queued("leads", &ids[1]).await?;
    // One walk meets both; the second one's change tells that it has.
    for (id, fields) in [(&ids[0], json!({})), (&ids[1], json!({ "AnnualRevenue": 7 }))] {
        scene.org.tell(&json!({ "update": "Lead", "id": id, "fields": fields })).await?;
    }
    let is_told = |status: &serde_json::Value| status["captures"]["leads"]["updated"] == 1;
    scene.world.until("/status", is_told).await?;
    let path = format!("/items/{}", scene::text(&item, "item"));
    let now = scene.world.hub.admin.get(&path).await?;
    ensure!(now["revision"] == item["revision"], "{now} was {item}");
    Ok(())
}
