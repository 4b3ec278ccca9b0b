//! `lambkin keys`: making, listing and revoking access keys. A server that runs on the same data directory sees
//! the change at its next request.

use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambkin_model::keys::Key;
use lambkin_model::name::DEFAULT_ACCOUNT;
use lambkin_model::policy::{Document, IDENTITY_POLICY_BYTES, Kind};
use serde::Serialize;

use crate::arguments::KeysCommand;
use crate::{keys, output, places};

/// Most keys of one data directory.
const KEYS: usize = 1000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made<'k> {
    access_key_id: &'k str,
    secret_access_key: &'k str,
    name: &'k str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'k> {
    access_key_id: &'k str,
    name: &'k str,
    account: &'k str,
    created: String,
    policies: usize,
}

pub(crate) fn run(command: KeysCommand) -> Result<(), String> {
    match command {
        KeysCommand::Create { name, account, policy, data, json } => {
            let data = places::data(data)?;
            let policies = policy.iter().map(|file| document(file)).collect::<Result<_, _>>()?;
            let key = made(name, account.filter(|account| account != DEFAULT_ACCOUNT), policies);
            keys::change(&data, |all| {
                if all.len() >= KEYS {
                    return Err(format!("there are {KEYS} keys already"));
                }
                all.push(key.clone());
                Ok(())
            })?;
            if json {
                let made = Made { access_key_id: &key.id, secret_access_key: &key.secret, name: &key.name };
                output::json(&made)
            } else {
                output::say(&format!(
                    "export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}\n",
                    key.id, key.secret
                ))
            }
        }
        KeysCommand::List { data, json } => {
            let all = keys::all(&places::data(data)?)?;
            let listed: Vec<Listed<'_>> = all
                .iter()
                .map(|key| Listed {
                    access_key_id: &key.id,
                    name: &key.name,
                    account: key.account(DEFAULT_ACCOUNT),
                    created: key.created.iso(),
                    policies: key.policies.len(),
                })
                .collect();
            if json { output::json(&listed) } else { output::say(&table(&listed)) }
        }
        KeysCommand::Revoke { id, data } => {
            let data = places::data(data)?;
            let mut left = 0;
            keys::change(&data, |all| {
                let before = all.len();
                all.retain(|key| key.id != id);
                left = all.len();
                if left == before { Err(format!("there is no key {id}")) } else { Ok(()) }
            })?;
            if left == 0 {
                eprintln!(
                    "No key is left: every request is refused now. To take requests without keys again (on loopback), \
                     remove {} and restart lambkin.",
                    data.join("keys.json").display()
                );
            }
            Ok(())
        }
    }
}

fn document(file: &Path) -> Result<Document, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    if text.len() > IDENTITY_POLICY_BYTES {
        return Err(named(&format!("a policy has at most {IDENTITY_POLICY_BYTES} bytes")));
    }
    Document::read(&text, Kind::Identity).map_err(|error| named(&error))
}

/// A new key, of some 300 random bits.
fn made(name: String, account: Option<String>, policies: Vec<Document>) -> Key {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random = || uuid::Uuid::new_v4().into_bytes();
    let id = random().iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect::<String>();
    let bytes = [random(), random()].concat();
    let secret = STANDARD.encode(&bytes[..30]);
    Key { id: format!("AKIA{id}"), secret, name, account, policies, created: crate::serve::now() }
}

fn table(listed: &[Listed<'_>]) -> String {
    let mut text =
        format!("{:<20}  {:<24}  {:<12}  {:<20}  POLICIES\n", "ACCESS KEY ID", "CREATED", "ACCOUNT", "NAME");
    for key in listed {
        let policies = match key.policies {
            0 if key.account == DEFAULT_ACCOUNT => "none: everything is allowed".to_owned(),
            0 => "none: what is shared with its account".to_owned(),
            some => some.to_string(),
        };
        let _ = writeln!(
            text,
            "{:<20}  {:<24}  {:<12}  {:<20}  {policies}",
            key.access_key_id, key.created, key.account, key.name
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_look_like_aws_and_differ() {
        let (one, other) = (made("a".into(), None, Vec::new()), made("a".into(), None, Vec::new()));
        assert_eq!((one.id.len(), one.secret.len()), (20, 40));
        assert!(one.id.starts_with("AKIA") && one.id != other.id && one.secret != other.secret);
    }
}
