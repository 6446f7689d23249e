//! What rotates is told in order, again until it is kept, and whoever gave it waits for that.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn it_is_told_in_order_until_it_is_kept() {
    let rotations = Arc::new(Rotations::default());
    let mut pushing = JoinSet::new();
    let mut push = |value: &'static str| {
        let rotations = Arc::clone(&rotations);
        pushing.spawn(async move {
            rotations.push("token", value).await;
            value
        });
    };
    push("t-1");
    let told = rotations.next(None).await;
    assert_eq!((told.number, told.value.as_str()), (1, "t-1"));
    push("t-2");
    // Not kept: the same again, and nobody goes on.
    assert_eq!(rotations.next(None).await, told);
    assert!(pushing.try_join_next().is_none());
    let told = rotations.next(Some(1)).await;
    assert_eq!((told.number, told.value.as_str()), (2, "t-2"));
    assert_eq!(pushing.join_next().await.unwrap().unwrap(), "t-1");
    assert_eq!(format!("{told:?}"), r#"Rotated { number: 2, field: "token", value: "***" }"#);

    // Whoever waits for the next one keeps the one before.
    assert!(timeout(Duration::ZERO, rotations.next(Some(2))).await.is_err());
    assert_eq!(pushing.join_next().await.unwrap().unwrap(), "t-2");
}
