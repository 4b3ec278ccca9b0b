//! AWS IAM, as far as tools call it around functions: their roles, and the policies of those.
//!
//! Deliberately not here: users and their keys, which `lambkin keys` makes, and groups.

use std::borrow::Cow;

use lambkin_control::{CreatePolicy, CreateRole, version_of};
use lambkin_model::iam::{self, IamError, ManagedPolicy, PolicyVersion, Role};
use lambkin_model::policy::Document;
use lambkin_model::time::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Api;
use crate::api::Call;
use crate::constraint;
use crate::node::{Node, map};
use crate::page::Page;
use crate::service_model::IAM;
use crate::wire::Request;

/// What an operation answers; `None`: it has no output.
type Output = Result<Option<Node<'static>>, IamError>;

/// What documents have in answers beside letters and digits (RFC 3986).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Items of a page where nothing else is asked for, and at most.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 1_000;
/// Seconds of a role's session where nothing is said.
const SESSION: i64 = 3_600;

impl Api {
    pub(crate) async fn operate_iam(&self, call: &Call<'_>, request: &Request<'_>) -> Output {
        let (input, operation) = (&request.input, &*request.operation.name);
        constraint::check(&IAM, request.operation, input).map_err(|e| IamError::Validation(e.to_string()))?;
        let (control, account) = (&self.control, call.account);
        let text = |member: &str| input.text(member).unwrap_or_default();
        let (role, arn) = (text("RoleName"), text("PolicyArn"));
        match operation {
            "CreateRole" => {
                if input.text("PermissionsBoundary").is_some() {
                    return Err(IamError::InvalidInput("lambkin does not do permissions boundaries.".into()));
                }
                let created = control.create_role(
                    account,
                    CreateRole {
                        name: role.to_owned(),
                        path: input.text("Path").unwrap_or("/").to_owned(),
                        trust: text("AssumeRolePolicyDocument").to_owned(),
                        description: input.text("Description").map(str::to_owned),
                        max_session: input.integer("MaxSessionDuration").unwrap_or(SESSION),
                        tags: tags(input),
                    },
                );
                Ok(Some(map([("Role", shown(&created.await?, true))])))
            }
            "GetRole" => Ok(Some(map([("Role", shown(&control.role(account, role)?.record, true))]))),
            "ListRoles" => {
                let prefix = input.text("PathPrefix").unwrap_or("/");
                let page = page(input)?;
                let mut roles = control.list_roles(account, prefix, page.after(), page.wanted());
                let marker = page.cut(&mut roles, |last| last.record.key.name.to_string());
                let roles = roles.iter().map(|role| shown(&role.record, false)).collect();
                Ok(Some(listed("Roles", roles, marker)))
            }
            "UpdateRole" | "UpdateRoleDescription" => {
                let changed = control.change_role(account, role, |role| {
                    if let Some(description) = input.text("Description") {
                        role.description = Some(description.to_owned());
                    }
                    role.max_session = input.integer("MaxSessionDuration").unwrap_or(role.max_session);
                    Ok(shown(role, true))
                });
                let changed = changed.await?;
                Ok(Some(if operation == "UpdateRole" { map::<&str>([]) } else { map([("Role", changed)]) }))
            }
            "UpdateAssumeRolePolicy" => {
                let trust = iam::trust(text("PolicyDocument"))?;
                let change = |role: &mut Role| {
                    role.trust = trust.clone();
                    Ok(None)
                };
                control.change_role(account, role, change).await
            }
            "DeleteRole" => control.delete_role(account, role).await.map(|()| None),
            "PutRolePolicy" => {
                let document = iam::inline(text("PolicyDocument"))?;
                let change = |role: &mut Role| {
                    role.inline.insert(text("PolicyName").to_owned(), document.clone());
                    iam::check_inline(role).map(|()| None)
                };
                control.change_role(account, role, change).await
            }
            "GetRolePolicy" => {
                let stored = control.role(account, role)?;
                let name = text("PolicyName");
                let document = stored.record.inline.get(name).ok_or_else(|| no_inline(name))?;
                Ok(Some(map([
                    ("RoleName", said(&*stored.record.name)),
                    ("PolicyName", said(name)),
                    ("PolicyDocument", encoded(document)),
                ])))
            }
            "DeleteRolePolicy" => {
                let name = text("PolicyName");
                let change =
                    |role: &mut Role| role.inline.remove(name).map(|_| None).ok_or_else(|| no_inline(name));
                control.change_role(account, role, change).await
            }
            "ListRolePolicies" => {
                let stored = control.role(account, role)?;
                let page = page(input)?;
                let after = |name: &&String| page.after().is_none_or(|after| name.as_str() > after);
                let mut names: Vec<&String> =
                    stored.record.inline.keys().filter(after).take(page.wanted()).collect();
                let marker = page.cut(&mut names, |last| (*last).clone());
                let names = names.into_iter().map(|name| said(name.as_str())).collect();
                Ok(Some(listed("PolicyNames", names, marker)))
            }
            "AttachRolePolicy" => control.attach_role_policy(account, role, arn).await.map(|()| None),
            "DetachRolePolicy" => control.detach_role_policy(account, role, arn).await.map(|()| None),
            // At most ten: always one page.
            "ListAttachedRolePolicies" => {
                let stored = control.role(account, role)?;
                let there =
                    stored.record.attached.iter().filter(|attached| control.attached(attached).is_some());
                let prefix = input.text("PathPrefix").unwrap_or("/");
                let attached = there.filter_map(|attached| {
                    let (_, resource) = attached.arn.split_once(":policy")?;
                    let name = resource.rsplit('/').next()?;
                    resource
                        .starts_with(prefix)
                        .then(|| map([("PolicyName", said(name)), ("PolicyArn", said(&*attached.arn))]))
                });
                Ok(Some(listed("AttachedPolicies", attached.collect(), None)))
            }
            // What EC2's machines have; here are none.
            "ListInstanceProfilesForRole" => {
                control.role(account, role)?;
                Ok(Some(listed("InstanceProfiles", Vec::new(), None)))
            }
            "TagRole" => {
                let tags = tags(input);
                control
                    .change_role(account, role, |role| iam::tag(&mut role.tags, &tags).map(|()| None))
                    .await
            }
            "UntagRole" => {
                let names = input.list("TagKeys").unwrap_or_default();
                let goes = |tag: &str| names.iter().any(|name| name.eq_ignore_ascii_case(tag));
                let change = |role: &mut Role| {
                    role.tags.retain(|tag, _| !goes(tag));
                    Ok(None)
                };
                control.change_role(account, role, change).await
            }
            "ListRoleTags" => {
                let tags = tag_list(&control.role(account, role)?.record.tags);
                Ok(Some(map([("Tags", tags), ("IsTruncated", Node::Boolean(false))])))
            }
            _ => self.operate_policies(account, operation, input, arn).await,
        }
    }

    async fn operate_policies(&self, account: &str, operation: &str, input: &Node<'_>, arn: &str) -> Output {
        let control = &self.control;
        let text = |member: &str| input.text(member).unwrap_or_default();
        match operation {
            "CreatePolicy" => {
                let created = control.create_policy(
                    account,
                    CreatePolicy {
                        name: text("PolicyName").to_owned(),
                        path: input.text("Path").unwrap_or("/").to_owned(),
                        document: text("PolicyDocument").to_owned(),
                        description: input.text("Description").map(str::to_owned),
                        tags: tags(input),
                    },
                );
                Ok(Some(map([("Policy", policy(&created.await?, 0))])))
            }
            "GetPolicy" => {
                let stored = control.managed_policy(account, arn).map_err(|error| of_aws(error, arn))?;
                let attachments = control.attachments(&stored.record);
                Ok(Some(map([("Policy", policy(&stored.record, attachments))])))
            }
            "DeletePolicy" => control.delete_policy(account, arn).await.map(|()| None),
            "CreatePolicyVersion" => {
                let default = input.boolean("SetAsDefault");
                let document = text("PolicyDocument");
                let (made, default) = control.create_policy_version(account, arn, document, default).await?;
                Ok(Some(map([("PolicyVersion", version(&made, default, false))])))
            }
            "GetPolicyVersion" => {
                let stored = control.managed_policy(account, arn).map_err(|error| of_aws(error, arn))?;
                let found = version_of(&stored.record, text("VersionId"))?;
                let default = found.number == stored.record.default;
                Ok(Some(map([("PolicyVersion", version(found, default, true))])))
            }
            // At most five: always one page.
            "ListPolicyVersions" => {
                let stored = control.managed_policy(account, arn).map_err(|error| of_aws(error, arn))?;
                let newest_first = stored.record.versions.iter().rev();
                let versions =
                    newest_first.map(|each| version(each, each.number == stored.record.default, false));
                Ok(Some(listed("Versions", versions.collect(), None)))
            }
            "SetDefaultPolicyVersion" => {
                control.set_default_policy_version(account, arn, text("VersionId")).await.map(|()| None)
            }
            "DeletePolicyVersion" => {
                control.delete_policy_version(account, arn, text("VersionId")).await.map(|()| None)
            }
            other => Err(IamError::UnsupportedOperation(other.to_owned())),
        }
    }
}

fn page(input: &Node<'_>) -> Result<Page, IamError> {
    let most = if input.integer("MaxItems").is_some() { LONGEST_PAGE } else { PAGE };
    Page::asked(input, most).map_err(|error| IamError::Validation(error.to_string()))
}

/// Of AWS's own policies nothing is known but what they allow.
fn of_aws(error: IamError, arn: &str) -> IamError {
    match iam::aws_managed(arn) {
        Some(_) => IamError::InvalidInput(format!("lambkin knows of {arn} only what it allows.")),
        None => error,
    }
}

fn no_inline(name: &str) -> IamError {
    IamError::NoSuchEntity(format!("The role policy with name {name} cannot be found."))
}

/// `Whole`: as a list does not show it.
fn shown(role: &Role, whole: bool) -> Node<'static> {
    let description = role.description.as_deref().map(|description| ("Description", said(description)));
    let tags = Some(("Tags", tag_list(&role.tags))).filter(|_| whole && !role.tags.is_empty());
    map([
        ("Path", said(&*role.path)),
        ("RoleName", said(&*role.name)),
        ("RoleId", said(&*role.id)),
        ("Arn", said(role.arn())),
        ("CreateDate", time(role.created)),
        ("AssumeRolePolicyDocument", encoded(&role.trust)),
        ("MaxSessionDuration", Node::Integer(role.max_session)),
    ]
    .into_iter()
    .chain(description)
    .chain(tags))
}

fn policy(policy: &ManagedPolicy, attachments: usize) -> Node<'static> {
    let description = policy.description.as_deref().map(|description| ("Description", said(description)));
    let tags = Some(("Tags", tag_list(&policy.tags))).filter(|_| !policy.tags.is_empty());
    map([
        ("PolicyName", said(&*policy.name)),
        ("PolicyId", said(&*policy.id)),
        ("Arn", said(policy.arn())),
        ("Path", said(&*policy.path)),
        ("DefaultVersionId", said(format!("v{}", policy.default))),
        ("AttachmentCount", Node::Integer(i64::try_from(attachments).unwrap_or(i64::MAX))),
        ("PermissionsBoundaryUsageCount", Node::Integer(0)),
        ("IsAttachable", Node::Boolean(true)),
        ("CreateDate", time(policy.created)),
        ("UpdateDate", time(policy.updated)),
    ]
    .into_iter()
    .chain(description)
    .chain(tags))
}

fn version(version: &PolicyVersion, default: bool, whole: bool) -> Node<'static> {
    let document = whole.then(|| ("Document", encoded(&version.document)));
    map([
        ("VersionId", said(format!("v{}", version.number))),
        ("IsDefaultVersion", Node::Boolean(default)),
        ("CreateDate", time(version.created)),
    ]
    .into_iter()
    .chain(document))
}

fn listed(name: &'static str, items: Vec<Node<'static>>, marker: Option<String>) -> Node<'static> {
    let truncated = Node::Boolean(marker.is_some());
    let marker = marker.map(|marker| ("Marker", said(marker)));
    map([(name, Node::List(items)), ("IsTruncated", truncated)].into_iter().chain(marker))
}

fn tags(input: &Node<'_>) -> Vec<(String, String)> {
    let Some(Node::List(tags)) = input.get("Tags") else { return Vec::new() };
    let pair = |tag: &Node<'_>| {
        Some((tag.text("Key")?.to_owned(), tag.text("Value").unwrap_or_default().to_owned()))
    };
    tags.iter().filter_map(pair).collect()
}

fn tag_list(tags: &std::collections::BTreeMap<String, String>) -> Node<'static> {
    let tag = |(key, value): (&String, &String)| map([("Key", said(&**key)), ("Value", said(&**value))]);
    Node::List(tags.iter().map(tag).collect())
}

fn encoded(document: &Document) -> Node<'static> {
    said(utf8_percent_encode(document.text(), ENCODED).to_string())
}

fn time(at: Timestamp) -> Node<'static> {
    Node::Integer(i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX))
}

fn said(text: impl Into<String>) -> Node<'static> {
    Node::Text(Cow::Owned(text.into()))
}
