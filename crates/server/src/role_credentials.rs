//! `--role-credentials FILE`: real AWS credentials for functions with certain roles.
//!
//! The file is JSON: a role's ARN, and either `{"profile": NAME}`, one of the shared credentials file
//! (`$AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`), or `{"accessKeyId": …,
//! "secretAccessKey": …, "sessionToken": …}`, the token where there is one. Both files are read once,
//! and refused where others than their owner may. Nothing here says a secret.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use lambkin_model::services::Credentials;
use serde::Deserialize;

/// How such files name credentials.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) profile: Option<String>,
    pub(crate) access_key_id: Option<String>,
    pub(crate) secret_access_key: Option<String>,
    pub(crate) session_token: Option<String>,
}

/// By role's ARN. `shared` is the shared credentials file, read only where a profile is named.
pub(crate) fn read(file: &Path, shared: Option<PathBuf>) -> Result<HashMap<String, Credentials>, String> {
    let text = private(file)?;
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    // serde's message would repeat what it did not understand.
    let entries: HashMap<String, Entry> = serde_json::from_str(&text).map_err(|error| {
        named(&format!("not a JSON object of roles' ARNs (line {}, column {})", error.line(), error.column()))
    })?;
    let mut profiles = None;
    entries
        .into_iter()
        .map(|(role, entry)| {
            if !(role.starts_with("arn:") && role.contains(":role/")) {
                return Err(named(&format!("{role} is not a role's ARN")));
            }
            let credentials = entry.credentials(file, &role, shared.as_deref(), &mut profiles)?;
            Ok((role, credentials))
        })
        .collect()
}

impl Entry {
    /// What it names. `what` stands in `file`; `profiles` is the text of `shared`, once it was read.
    pub(crate) fn credentials(
        self,
        file: &Path,
        what: &str,
        shared: Option<&Path>,
        profiles: &mut Option<String>,
    ) -> Result<Credentials, String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        match self {
            Self {
                profile: None,
                access_key_id: Some(access_key_id),
                secret_access_key: Some(secret_access_key),
                session_token,
            } => Ok(Credentials { access_key_id, secret_access_key, session_token }),
            Self {
                profile: Some(profile),
                access_key_id: None,
                secret_access_key: None,
                session_token: None,
            } => {
                let shared = shared.ok_or_else(|| named(&"there is no home directory"))?;
                let text = match profiles {
                    Some(text) => text,
                    None => profiles.insert(private(shared)?),
                };
                of_profile(text, &profile).ok_or_else(|| {
                    format!(
                        "{}: no keys in the profile {profile}; others than static ones are not read",
                        shared.display()
                    )
                })
            }
            Self { .. } => {
                Err(named(&format!("{what} needs either profile, or accessKeyId and secretAccessKey")))
            }
        }
    }
}

/// Where the aws CLI has its own.
pub(crate) fn shared() -> Option<PathBuf> {
    let given = std::env::var_os("AWS_SHARED_CREDENTIALS_FILE").filter(|given| !given.is_empty());
    given.map(PathBuf::from).or_else(|| Some(etcetera::home_dir().ok()?.join(".aws/credentials")))
}

/// The text of a file that nobody but its owner, who is this user or root, may touch.
pub(crate) fn private(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    let own = fs::metadata("/proc/self").map_or(found.uid(), |own| own.uid());
    if found.mode() & 0o077 != 0 || ![0, own].contains(&found.uid()) {
        return Err(format!("{} is open to other users: chmod 600, and your own", path.display()));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn of_profile(text: &str, profile: &str) -> Option<Credentials> {
    let mut inside = false;
    let mut values = HashMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.split_once(']').is_some_and(|(name, _)| name.trim() == profile);
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            values.insert(key.trim(), value.trim().to_owned());
        }
    }
    Some(Credentials {
        access_key_id: values.remove("aws_access_key_id")?,
        secret_access_key: values.remove("aws_secret_access_key")?,
        session_token: values.remove("aws_session_token"),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(directory: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn profiles_and_keys() {
        let directory = tempfile::tempdir().unwrap();
        let shared = "[default]\naws_access_key_id=no\n\n[dev]\n# aws_session_token = no\naws_access_key_id = ID\n\
                      aws_secret_access_key = a=b/c\n[other]\naws_access_key_id = no\n";
        let shared = file(directory.path(), "shared", shared, 0o600);
        let text = r#"{"arn:aws:iam::1:role/a": {"profile": "dev"},
            "arn:aws:iam::1:role/b": {"accessKeyId": "B", "secretAccessKey": "s", "sessionToken": "t"}}"#;
        let roles = read(&file(directory.path(), "roles", text, 0o600), Some(shared.clone())).unwrap();
        let credentials = |id: &str, secret: &str, token: Option<&str>| Credentials {
            access_key_id: id.into(),
            secret_access_key: secret.into(),
            session_token: token.map(str::to_owned),
        };
        assert_eq!(roles["arn:aws:iam::1:role/a"], credentials("ID", "a=b/c", None));
        assert_eq!(roles["arn:aws:iam::1:role/b"], credentials("B", "s", Some("t")));
        for (text, mode, refusal) in [
            (text, 0o640, "chmod 600"),
            (r#"{"role/a": {"profile": "dev"}}"#, 0o600, "not a role's ARN"),
            (r#"{"arn:aws:iam::1:role/a": {"profile": "other"}}"#, 0o600, "no keys in the profile other"),
            (r#"{"arn:aws:iam::1:role/a": {"accessKeyId": "SECRET"}}"#, 0o600, "needs either"),
            (r#"{"arn:aws:iam::1:role/a": "SECRET"}"#, 0o600, "not a JSON object"),
        ] {
            let error = read(&file(directory.path(), "roles", text, mode), Some(shared.clone())).unwrap_err();
            assert!(error.contains(refusal) && !error.contains("SECRET"), "{error}");
        }
    }
}
