//! What an operator may write: the versions and objects of the org, and the fields of an object.

use gantry_plugin_api::{Error, Suggest, Suggestion};

use crate::client::Client;

/// What could stand at a key; nothing where it is for the operator alone to say.
pub(crate) async fn suggest(client: &Client, what: &Suggest) -> Result<Vec<Suggestion>, Error> {
    match &*what.field {
        "api_version" => {
            let versions = client.versions().await?.into_iter().rev();
            let shown = |version: crate::client::Version| {
                Suggestion::text(version.version).with_note(version.label)
            };
            Ok(versions.map(shown).collect())
        }
        "object" => {
            let objects = client.objects().await?.into_iter();
            Ok(objects
                .map(|object| Suggestion::text(object.name).with_note(object.label))
                .collect())
        }
        key @ ("fields" | "set") => {
            let Some(object) = what.beside::<String>("object") else {
                return Err(Error::config(
                    "object",
                    "is needed first: its fields are what can stand there",
                ));
            };
            let Some(described) = client.describe(&object).await? else {
                let message = format!("the org has no object `{object}`");
                return Err(Error::config("object", message));
            };
            let fields = described.fields.into_iter();
            let fields = fields.filter(|field| key == "fields" || field.updateable);
            Ok(fields.map(|field| Suggestion::text(field.name).with_note(field.label)).collect())
        }
        _ => Ok(Vec::new()),
    }
}
