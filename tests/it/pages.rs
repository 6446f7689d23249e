//! The pages in a real browser: an agent signs in, gets ready, declines, accepts and finishes
//! work; an administrator watches the list, finds an item and reads why it went where it went.
//!
//! `GANTRY_TEST_PICTURES=/some/folder` also takes pictures of what the test sees; `desk.png` and
//! `items.png` in `docs/images` are two of them.

mod driver;
mod office;

use anyhow::{Context, Result, ensure};

use driver::Browser;
use office::{Office, SOURCE};

const TAB: char = '\u{E004}';
const ENTER: char = '\u{E007}';
/// More keys than any of the pages has stops.
const STOPS_MAX: usize = 50;

#[tokio::test]
async fn a_person_works_at_the_pages() -> Result<()> {
    let Some(browser) = Browser::start().await? else {
        eprintln!("SKIPPED: the pages in a real browser: Chromium is not installed");
        return Ok(());
    };
    let office = Office::open().await?;
    agent(&office, &browser).await.with_context(|| format!("agent:\n{}", office.log_tail()))?;
    administrator(&office, &browser).await.context("administrator")?;
    browser.close().await?;
    office.close().await
}

/// The agent's day: from a wrong token to the source's confirmation.
async fn agent(office: &Office, browser: &Browser) -> Result<()> {
    browser.look(1280, 800, "light").await?;
    browser.open(&office.address("/")).await?;
    refuse_a_wrong_token(browser).await?;
    office.picture(browser, "sign-in").await?;

    sign_in(browser, &office.anna).await?;
    browser
        .until("location.pathname === '/desk' && document.body.innerText.includes('Live')")
        .await?;
    browser.until("document.body.innerText.includes('Nothing is offered while you are')").await?;
    browser.read("window.loadedOnce = true").await?;
    office.picture(browser, "desk-empty").await?;
    browser.click("[data-presence=ready]").await?;
    browser.until("document.querySelector('[data-presence=ready]').ariaPressed === 'true'").await?;

    let item = office.capture("L-1001", "Offer for Ms Mint: extend the contract", "C-1").await?;
    see_the_offer(browser, &item).await?;
    office.picture(browser, "desk-offer").await?;
    decline(browser, &item).await?;
    accept_by_keyboard(browser, &item).await?;
    read_the_case(browser).await?;
    let next = office.capture("L-1002", "Solar panels for a workshop roof", "C-2").await?;
    browser.until(&format!("document.querySelector('.offer').dataset.item === '{next}'")).await?;
    office.picture(browser, "desk").await?;
    finish(office, browser, &item).await?;
    choose(office, browser).await?;
    ensure!(browser.read("window.loadedOnce").await? == true, "the desk was loaded again");
    nothing_in_the_console(browser).await
}

async fn refuse_a_wrong_token(browser: &Browser) -> Result<()> {
    sign_in(browser, "gantry_wrong.token").await?;
    browser
        .until("document.querySelector('#token-problem[role=alert]').innerText.length > 10")
        .await?;
    // The browser itself reports the refused page; nothing else may be wrong.
    for line in browser.console().await? {
        ensure!(line.contains("401 (Unauthorized)"), "the console says {line}");
    }
    Ok(())
}

async fn sign_in(browser: &Browser, token: &str) -> Result<()> {
    browser.until("document.activeElement.id === 'token'").await?;
    browser.write("#token", token).await?;
    browser.press(ENTER).await
}

/// The offer comes by itself, counts down and says what it is about.
async fn see_the_offer(browser: &Browser, item: &str) -> Result<()> {
    browser.until(&format!("document.querySelector('.offer').dataset.item === '{item}'")).await?;
    browser.until("/\\d+ s/.test(document.querySelector('.offer [data-until]').innerText)").await?;
    let left = "parseInt(document.querySelector('.offer [data-until]').innerText.match(/\\d+/)[0])";
    let first = browser.read(left).await?;
    browser.until(&format!("{left} < {first}")).await?;
    browser.until("document.querySelector('.offer').innerText.includes('Gold')").await?;
    browser.until("document.querySelector('#news').textContent.includes('Ms Mint')").await
}

/// Without a reason nothing is sent; with one, the item comes back once the agent has cooled down.
async fn decline(browser: &Browser, item: &str) -> Result<()> {
    let epoch = browser.read("document.querySelector('.offer').dataset.epoch").await?;
    browser.click(".offer [data-action=decline]").await?;
    browser.until("document.activeElement.matches(':invalid')").await?;
    browser.write(".offer [name=reason]", "She asked for my colleague").await?;
    browser.click(".offer [data-action=decline]").await?;
    let again =
        format!("document.querySelector('.offer[data-item=\"{item}\"]').dataset.epoch > {epoch}");
    browser.until(&again).await
}

async fn accept_by_keyboard(browser: &Browser, item: &str) -> Result<()> {
    for _ in 0..STOPS_MAX {
        browser.press(TAB).await?;
        if browser.read("document.activeElement.matches('[data-action=accept]')").await? == true {
            browser.press(ENTER).await?;
            let card = format!("[data-part=assigned] [data-item=\"{item}\"]");
            browser.until(&format!("document.querySelector('{card}')")).await?;
            // The focus goes with the work.
            let there = format!("document.activeElement.closest('{card}')");
            return browser.until(&there).await;
        }
    }
    anyhow::bail!("the keyboard does not get to Accept")
}

/// The card shows what the process shows to agents, where it came from, and the way to the source.
async fn read_the_case(browser: &Browser) -> Result<()> {
    let text = browser.read("document.querySelector('[data-part=assigned]').innerText").await?;
    let text = text.as_str().context("no card")?;
    for part in ["Customer segment", "Gold", "look-up customer", "Berlin", "1890.50"] {
        ensure!(text.contains(part), "the card does not say {part:?}:\n{text}");
    }
    let link = "document.querySelector('[data-part=assigned] a.button')";
    let address = browser.read(&format!("{link}.href")).await?;
    ensure!(address == format!("{SOURCE}/L-1001"), "the link leads to {address}");
    ensure!(browser.read(&format!("{link}.target")).await? == "_blank", "the desk would be left");
    Ok(())
}

/// An agent who is not ready chooses an item of a queue that lets agents choose.
async fn choose(office: &Office, browser: &Browser) -> Result<()> {
    browser.click("[data-presence=not_ready]").await?;
    browser
        .until("document.querySelector('[data-presence=not_ready]').ariaPressed === 'true'")
        .await?;
    let item = office.callback("L-1011", "Wants to be called back").await?;
    // The next refresh has it; anything that the agent does brings one.
    browser.click("[data-presence=not_ready]").await?;
    let card = format!("[data-part=choices] [data-item=\"{item}\"]");
    browser.until(&format!("document.querySelector('{card}')?.checkVisibility()")).await?;
    office.picture(browser, "desk-choices").await?;
    browser.click(&format!("{card} [data-action=pull]")).await?;
    let taken = format!("[data-part=assigned] [data-item=\"{item}\"]");
    browser.until(&format!("document.querySelector('{taken}')")).await?;
    browser.until("!document.querySelector('[data-part=choices]').checkVisibility()").await?;
    browser.click("[data-presence=ready]").await
}

/// Without what the form asks for and a disposition nothing is sent; then the card goes, and the
/// source has the last word.
async fn finish(office: &Office, browser: &Browser, item: &str) -> Result<()> {
    browser.click("[data-action=done]").await?;
    browser.until("document.activeElement.matches('[name=agreed]:invalid')").await?;
    browser.write("[name=agreed]", "Two more years").await?;
    browser.click("[data-action=done]").await?;
    browser.until("document.activeElement.matches('select:invalid')").await?;
    browser.click("[name=disposition] option[value=converted]").await?;
    browser.click("[data-action=done]").await?;
    browser
        .until(&format!(
            "!document.querySelector('[data-part=assigned] [data-item=\"{item}\"]') \
         && document.querySelector('[data-part=confirming] .card').checkVisibility()"
        ))
        .await?;
    office.picture(browser, "desk-confirming").await?;
    let item = office.hub.admin.get(&format!("/items/{item}")).await?;
    let agreed = &item["attributes"]["agreed"];
    ensure!(*agreed == "Two more years", "the form's field is not stored: {item}");
    office.confirm("L-1001").await?;
    browser.until("!document.querySelector('[data-part=confirming]').checkVisibility()").await
}

/// The administrator's look: the list follows the hub, can be filtered, and explains itself.
async fn administrator(office: &Office, browser: &Browser) -> Result<()> {
    browser.click(".who button").await?;
    sign_in(browser, &office.hub.admin.token).await?;
    browser
        .until("location.pathname === '/items' && document.body.innerText.includes('Live')")
        .await?;
    browser.read("window.loadedOnce = true").await?;
    office.fill().await?;
    browser.until("document.querySelectorAll('tbody tr').length > 9").await?;
    browser.until("document.querySelector('#list').innerText.includes('offered')").await?;
    ensure!(browser.read("window.loadedOnce").await? == true, "the list was loaded again");
    office.picture(browser, "items").await?;

    browser.click("#status option[value=completed]").await?;
    browser
        .until(
            "location.search.includes('status=completed') \
         && document.querySelectorAll('tbody tr').length === 1",
        )
        .await?;
    browser.click("tbody a").await?;
    browser.until("document.querySelector('#history')").await?;
    let text = browser.read("document.querySelector('main').innerText").await?;
    let text = text.as_str().context("no item")?;
    for part in [
        "Declined by anna: She asked for my colleague",
        "Accepted by anna",
        "Marked done by anna: converted",
        "Completed",
        "Offered to anna (today",
        "look-up customer",
    ] {
        ensure!(text.contains(part), "the item does not say {part:?}:\n{text}");
    }
    office.picture(browser, "item").await?;
    sources(office, browser).await?;
    browser.open(&office.address("/items?text=no+such+name")).await?;
    browser.until("document.querySelector('.empty').innerText.includes('No work item')").await?;
    office.picture(browser, "items-empty").await?;
    nothing_in_the_console(browser).await
}

/// The sources are told with their rates, and a pause shows by itself.
async fn sources(office: &Office, browser: &Browser) -> Result<()> {
    browser.click("nav a[href='/sources']").await?;
    browser.until("document.querySelector('[data-source=customers] .tag.running')").await?;
    let leads = "document.querySelector('[data-part=\"capture point/leads\"]')";
    browser.until(&format!("/^\\d+\\.\\d$/.test({leads}.cells[3].innerText)")).await?;
    browser.read("window.loadedOnce = true").await?;
    let reason = serde_json::json!({ "reason": "the CRM is being moved" });
    office.hub.admin.post("/capture-points/leads/pause", &reason).await?;
    browser.until(&format!("{leads}.innerText.includes('the CRM is being moved')")).await?;
    ensure!(browser.read("window.loadedOnce").await? == true, "the page was loaded again");
    office.hub.admin.post("/capture-points/leads/resume", &serde_json::json!({})).await?;
    office.picture(browser, "sources").await
}

async fn nothing_in_the_console(browser: &Browser) -> Result<()> {
    let lines = browser.console().await?;
    ensure!(lines.is_empty(), "the console says:\n{}", lines.join("\n"));
    Ok(())
}
