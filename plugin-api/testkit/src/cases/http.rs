//! Requests that the hub's server received.

use gantry_plugin_host::CaptureHandle;
use gantry_plugin_host::Instance;
use gantry_plugin_host::api::{CaptureMode, HttpCapture, HttpRequest, Record};

use crate::bench::{Bench, identities};
use crate::case::{Outcome, Stop, Works as _, ensure, skip};
use crate::script::Request;

cases! {
    "http/examples", "The test file's requests give as many records as it says, or are refused",
    "correct the test file, or what `http` makes of them", examples;
    "http/odd_requests", "No request panics or is an error, whatever it holds",
    "answer a request that is wrong with `HttpCapture::Refuse`", odd_requests;
    "http/statuses", "A response has a status that HTTP knows",
    "answer with a status from 100 to 599", statuses;
    "http/same_ids_again", "A request that comes again gives the same ids",
    "take `message_id` from the request; make up none", same_ids_again;
    "http/readable", "A payload is what its content type says",
    "refuse a body that cannot be read, or hand it over as `Record::unreadable`", readable;
}

/// A request as the hub's server would hand it over.
pub(crate) fn request(told: &Request) -> HttpRequest {
    let mut request = HttpRequest::new(&told.method, &told.path, told.body.clone());
    request.query.clone_from(&told.query);
    request.headers =
        told.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    request.remote = Some("127.0.0.1".to_owned());
    request
}

async fn hook(bench: &Bench) -> Result<(Instance, CaptureHandle), Stop> {
    bench.needs_mode(CaptureMode::Http)?;
    bench.capture().await
}

/// The test file's requests; skips if there is none that gives a record.
fn told(bench: &Bench) -> Result<&[Request], Stop> {
    let requests = bench.script.capture.as_ref().map_or(&[][..], |capture| &capture.requests);
    if requests.iter().any(|request| request.records > 0) {
        return Ok(requests);
    }
    Err(skip("needs `[[capture.request]]` in the test file"))
}

fn records(captured: HttpCapture) -> Vec<Record> {
    match captured {
        HttpCapture::Capture { records, .. } => records,
        _ => Vec::new(),
    }
}

async fn examples(bench: &Bench) -> Outcome {
    let (_instance, capture) = hook(bench).await?;
    for told in told(bench)? {
        let captured = capture.http(&request(told)).await.works("the request is answered")?;
        let refused = matches!(captured, HttpCapture::Refuse(_));
        let n = records(captured).len();
        let place = format!("{} {}", told.method, told.path);
        if told.records == 0 {
            ensure(refused, &format!("{place} is refused"), || format!("{n} records"))?;
        } else {
            let seen = || if refused { "it is refused".to_owned() } else { format!("{n} records") };
            ensure(n == told.records, &format!("{place} gives {} records", told.records), seen)?;
        }
    }
    Ok(())
}

/// Requests as only strangers send them.
fn odd(bench: &Bench) -> Vec<HttpRequest> {
    let mut odd = vec![
        HttpRequest::new("", "", ""),
        HttpRequest::new("GET", "/", ""),
        HttpRequest::new("POST", "/../..//%2e%2e", "{}"),
        HttpRequest::new("POST", "/", ""),
        HttpRequest::new("POST", "/", &b"\xff\xfe\x00\x01"[..]),
        HttpRequest::new("POST", "/", "{\"a\":"),
        HttpRequest::new("POST", "/", "[".repeat(10_000)),
        HttpRequest::new("POST", "/", "null"),
        HttpRequest::new("POST", "/", " ".repeat(1 << 20)),
    ];
    // With the proof of the test file's requests, so that they get past it.
    let headers = told(bench).ok().and_then(|told| told.first()).map(|told| request(told).headers);
    let with_proof: Vec<_> = odd
        .iter()
        .cloned()
        .map(|mut request| {
            request.headers.extend(headers.iter().flatten().cloned());
            request
        })
        .collect();
    odd.extend(with_proof);
    let mut strange = HttpRequest::new("POST", "/", "{}");
    strange.headers = vec![
        ("content-type".to_owned(), "\u{1f9ed}; charset=none".to_owned()),
        ("content-type".to_owned(), String::new()),
        ("authorization".to_owned(), "Bearer".to_owned()),
    ];
    "%%%&=&&a=%ff".clone_into(&mut strange.query);
    odd.push(strange);
    odd
}

async fn odd_requests(bench: &Bench) -> Outcome {
    let (_instance, capture) = hook(bench).await?;
    for request in odd(bench) {
        let body: String = request.body.iter().take(12).map(|b| char::from(*b)).collect();
        let shown = format!("{} {} {body:?}", request.method, request.path);
        capture.http(&request).await.works(&format!("{shown} is answered"))?;
    }
    Ok(())
}

async fn statuses(bench: &Bench) -> Outcome {
    let (_instance, capture) = hook(bench).await?;
    let told = told(bench).unwrap_or_default().iter().map(request);
    for request in odd(bench).into_iter().chain(told) {
        let statuses = match capture.http(&request).await.works("the request is answered")? {
            HttpCapture::Capture { response, .. } => vec![response.status, response.status_refused],
            HttpCapture::Refuse(response) => vec![response.status],
            _ => Vec::new(),
        };
        for status in statuses {
            let known = (100..=599).contains(&status);
            ensure(known, "a status from 100 to 599", || status.to_string())?;
        }
    }
    Ok(())
}

async fn same_ids_again(bench: &Bench) -> Outcome {
    let (_first, capture) = hook(bench).await?;
    let (_second, again) = hook(bench).await?;
    for told in told(bench)?.iter().filter(|told| told.records > 0) {
        let request = request(told);
        let first = records(capture.http(&request).await.works("the request is answered")?);
        let second = records(again.http(&request).await.works("the request is answered")?);
        let (first, second) = (identities(&first), identities(&second));
        ensure(first == second, "the same ids", || format!("{first:?}, then {second:?}"))?;
    }
    Ok(())
}

async fn readable(bench: &Bench) -> Outcome {
    let (_instance, capture) = hook(bench).await?;
    let told = told(bench).unwrap_or_default().iter().map(request);
    for request in odd(bench).into_iter().chain(told) {
        let captured = capture.http(&request).await.works("the request is answered")?;
        records(captured).iter().try_for_each(super::capture::is_readable)?;
    }
    Ok(())
}
