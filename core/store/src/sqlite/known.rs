//! The capture path's question: which item has this key, and was this message seen?

use gantry_model::command::{ContentHash, Known};
use gantry_model::{ItemId, PartitionId};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::classify;
use super::rows::RowsStatement;
use crate::error::Error;
use crate::read::KeyQuery;

const DOING: &str = "looking up captured keys";

/// A connection of its own, so that a capture never waits behind a list.
#[derive(Debug)]
pub(super) struct Keys {
    connection: SqliteConnection,
    by_key: RowsStatement,
    by_message: RowsStatement,
}

impl Keys {
    pub(super) fn new(connection: SqliteConnection, partition: PartitionId) -> Self {
        // A cross join keeps SQLite from turning the loops around; rows of nulls find nothing.
        let by_key = RowsStatement::new(
            "SELECT v.column1, k.item, k.hash FROM",
            2,
            &format!(
                "v CROSS JOIN item_key k WHERE k.partition = {partition} \
                 AND k.capture_point = ? AND k.external_id = v.column2"
            ),
        );
        let by_message = RowsStatement::new(
            "SELECT v.column1, m.item FROM",
            2,
            &format!(
                "v CROSS JOIN message m WHERE m.partition = {partition} \
                 AND m.capture_point = ? AND m.message_id = v.column2"
            ),
        );
        Self { connection, by_key, by_message }
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    pub(super) async fn known(&mut self, keys: &[KeyQuery]) -> Result<Vec<Option<Known>>, Error> {
        let mut answers = vec![None; keys.len()];
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|place| (&keys[*place].capture_point, &keys[*place].external_id));
        let same_point =
            |one: &usize, next: &usize| keys[*one].capture_point == keys[*next].capture_point;
        for places in order.chunk_by(same_point) {
            self.find_keys(keys, places, &mut answers)
                .await
                .map_err(|source| classify(DOING, source))?;
            self.find_messages(keys, places, &mut answers)
                .await
                .map_err(|source| classify(DOING, source))?;
        }
        Ok(answers)
    }

    async fn find_keys(
        &mut self,
        keys: &[KeyQuery],
        places: &[usize],
        answers: &mut [Option<Known>],
    ) -> Result<(), sqlx::Error> {
        let capture_point = &keys[places[0]].capture_point;
        self.by_key
            .query(
                &mut self.connection,
                places,
                |_, place, to| {
                    to.add(*place as i64);
                    to.text(&keys[*place].external_id);
                },
                |to| to.name(capture_point),
                |row| {
                    let hash: &[u8] = row.try_get(2)?;
                    answers[row.try_get::<i64, _>(0)? as usize] = Some(Known {
                        item: ItemId::from_u64(row.try_get::<i64, _>(1)? as u64),
                        hash: content_hash(hash)?,
                        seen: false,
                    });
                    Ok(())
                },
            )
            .await
    }

    async fn find_messages(
        &mut self,
        keys: &[KeyQuery],
        places: &[usize],
        answers: &mut [Option<Known>],
    ) -> Result<(), sqlx::Error> {
        let mut messages: Vec<(usize, &str)> = places
            .iter()
            .filter_map(|place| Some((*place, keys[*place].message_id.as_deref()?)))
            .collect();
        messages.sort_unstable_by_key(|(_, message)| *message);
        let capture_point = &keys[places[0]].capture_point;
        self.by_message
            .query(
                &mut self.connection,
                &messages,
                |_, (place, message), to| {
                    to.add(*place as i64);
                    to.text(message);
                },
                |to| to.name(capture_point),
                |row| {
                    let answer = &mut answers[row.try_get::<i64, _>(0)? as usize];
                    *answer = Some(Known {
                        item: ItemId::from_u64(row.try_get::<i64, _>(1)? as u64),
                        hash: answer.map_or(ContentHash::default(), |known| known.hash),
                        seen: true,
                    });
                    Ok(())
                },
            )
            .await
    }
}

fn content_hash(bytes: &[u8]) -> Result<ContentHash, sqlx::Error> {
    bytes.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
