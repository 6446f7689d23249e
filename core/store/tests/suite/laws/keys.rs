//! Keys and messages: the same record again is no second item.

use gantry_model::ItemId;
use gantry_model::command::{ContentHash, Known};
use gantry_store::baseline::{KeyOrder, key};
use gantry_store::{Commit, CustomerRow, KeyQuery, KeyRow, MessageRow};

use crate::Bed;
use crate::world::{self, POINT, at, capture, commit, hash};

fn query(capture_point: &str, external_id: &str, message_id: Option<&str>) -> KeyQuery {
    KeyQuery {
        capture_point: capture_point.into(),
        external_id: external_id.into(),
        message_id: message_id.map(Into::into),
    }
}

fn message(id: &str, counter: u64, minute: i64) -> MessageRow {
    MessageRow {
        capture_point: POINT.into(),
        message_id: id.into(),
        item: ItemId::new(0, counter),
        at: at(minute),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is what the store answers")]
const fn answer(counter: u64, hash: ContentHash, seen: bool) -> Option<Known> {
    let item = ItemId::new(0, counter);
    Some(Known { item, hash, seen })
}

pub(crate) async fn known_answers_in_the_order_of_the_keys(bed: &dyn Bed) {
    const ITEMS: u64 = 300;
    let store = bed.open().await.unwrap();
    let mut made = capture(1, 1, ITEMS, KeyOrder::Random);
    // The same external id at another capture point is another item.
    made.keys.push(KeyRow {
        capture_point: "carts".into(),
        external_id: key(KeyOrder::Random, 7),
        item: ItemId::new(0, 900),
        hash: hash(900),
    });
    store.commit(&made).await.unwrap();
    assert_eq!(store.known(&[]).await.unwrap(), []);
    // Every third is unknown; the order is neither that of the keys nor that of the items.
    let places: Vec<u64> = (0..2 * ITEMS).map(|place| 1 + place * 37 % (ITEMS * 3 / 2)).collect();
    let mut queries: Vec<_> =
        places.iter().map(|number| query(POINT, &key(KeyOrder::Random, *number), None)).collect();
    let mut expected: Vec<_> = places
        .iter()
        .map(|number| answer(*number, hash(*number), false).filter(|_| *number <= ITEMS))
        .collect();
    queries.insert(100, query("carts", &key(KeyOrder::Random, 7), None));
    expected.insert(100, answer(900, hash(900), false));
    assert_eq!(store.known(&queries).await.unwrap(), expected);
    for (query, expected) in queries.iter().zip(&expected) {
        let one = store.known(std::slice::from_ref(query)).await.unwrap();
        assert_eq!(one, [*expected]);
    }
}

pub(crate) async fn a_message_leads_to_its_own_item(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    let mut made = capture(1, 1, 3, KeyOrder::Ordered);
    made.messages = vec![message("m-2", 2, 1), message("m-1", 1, 1)];
    store.commit(&made).await.unwrap();
    // Another message about item 2, and one about item 1 that comes again: the first counts.
    let mut made = commit(2, Vec::new());
    made.messages = vec![message("m-3", 2, 2), message("m-1", 3, 2)];
    store.commit(&made).await.unwrap();
    let external_id = |number| key(KeyOrder::Ordered, number);
    let queries = [
        query(POINT, &external_id(1), Some("m-1")),
        query(POINT, &external_id(1), Some("m-9")),
        query(POINT, &external_id(2), Some("m-3")),
        query(POINT, &external_id(3), None),
        query(POINT, "unknown", Some("m-2")),
        query("carts", "unknown", Some("m-2")),
    ];
    let expected = [
        answer(1, hash(1), true),
        answer(1, hash(1), false),
        answer(2, hash(2), true),
        answer(3, hash(3), false),
        answer(2, ContentHash::default(), true),
        None,
    ];
    assert_eq!(store.known(&queries).await.unwrap(), expected);
}

pub(crate) async fn a_key_moves_to_the_newer_item(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    store.commit(&capture(1, 1, 1, KeyOrder::Ordered)).await.unwrap();
    let external_id = key(KeyOrder::Ordered, 1);
    let moved: Commit = {
        let mut made = capture(2, 2, 1, KeyOrder::Ordered);
        made.keys[0].external_id.clone_from(&external_id);
        made.items[0].head.as_mut().unwrap().external_id = Some(external_id.clone());
        made
    };
    store.commit(&moved).await.unwrap();
    let known = store.known(&[query(POINT, &external_id, None)]).await.unwrap();
    assert_eq!(known, [answer(2, hash(2), false)]);
    let latest = store.find(world::POINT, &external_id).await.unwrap().unwrap();
    assert_eq!(latest.item.id, ItemId::new(0, 2));
}

pub(crate) async fn old_messages_are_forgotten(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    let mut made = commit(1, Vec::new());
    made.messages = (1..=10).map(|n| message(&format!("m-{n}"), 1, n)).collect();
    store.commit(&made).await.unwrap();
    assert_eq!(store.forget_messages(at(6), 3).await.unwrap(), 3);
    assert_eq!(store.forget_messages(at(6), 3).await.unwrap(), 2);
    assert_eq!(store.forget_messages(at(6), 3).await.unwrap(), 0);
    let queries: Vec<_> =
        (1..=10).map(|n| query(POINT, "unknown", Some(&format!("m-{n}")))).collect();
    let known = store.known(&queries).await.unwrap();
    let seen: Vec<_> = known.iter().map(Option::is_some).collect();
    assert_eq!(seen, [false, false, false, false, false, true, true, true, true, true]);
}

pub(crate) async fn a_customer_leads_to_its_latest_items(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    let mut made = capture(1, 1, 6, KeyOrder::Ordered);
    let row = |counter: u64, customer: &str| CustomerRow {
        item: ItemId::new(0, counter),
        customer: customer.into(),
    };
    made.customers = vec![row(1, "ada"), row(2, "bob"), row(4, "ada"), row(5, "ada")];
    store.commit(&made).await.unwrap();
    let items = async |customer: &str, limit: u32| {
        let found = store.customer_items(customer, limit).await.unwrap();
        found.iter().map(|view| view.item.id.counter()).collect::<Vec<_>>()
    };
    assert_eq!(items("ada", 10).await, [5, 4, 1]);
    assert_eq!(items("ada", 2).await, [5, 4]);
    assert_eq!(items("nobody", 10).await, [0u64; 0]);
    // An item that turns out to be about somebody else; the same row again changes nothing.
    let mut moved = commit(2, Vec::new());
    moved.customers = vec![row(4, "bob"), row(5, "ada")];
    store.commit(&moved).await.unwrap();
    assert_eq!(items("ada", 10).await, [5, 1]);
    assert_eq!(items("bob", 10).await, [4, 2]);
}
