//! The rules for what jails send and get, as text for `nft`: one table, removed as a whole.
//!
//! Every rule is for the jails' own links; the host's other traffic passes through untouched. What
//! another table drops (Docker's `FORWARD` policy, a firewall's) stays dropped.

use std::net::Ipv4Addr;

use super::Place;
use crate::network::Subnet;

/// Nobody's to reach, whatever is allowed: the host's own loopback, the clouds' metadata services
/// (Azure's has a public address), what is not one machine's address.
const NEVER: [&str; 6] =
    ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16", "224.0.0.0/4", "240.0.0.0/4"];

/// Not the internet (RFC 1918, 6598, 6890, 2544).
const PRIVATE: [&str; 6] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15"];

/// The table, from nothing: what is there of the same name goes.
pub(super) fn table(name: &str, place: Place, allow: &[Subnet], resolvers: &[Ipv4Addr]) -> String {
    let (links, pool) = (place.links(), place.pool());
    let set = |name: &str, elements: Vec<String>| {
        let elements = match elements.is_empty() {
            true => String::new(),
            false => format!("elements = {{ {} }}", elements.join(", ")),
        };
        format!("set {name} {{ type ipv4_addr; flags interval; auto-merge; {elements}\n}}")
    };
    let written = |addresses: &[&str]| addresses.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let never = written(&NEVER).into_iter().chain([pool.to_string()]).collect();
    let sets = [
        set("never", never),
        set("private", written(&PRIVATE)),
        set("allowed", allow.iter().map(Subnet::to_string).collect()),
        set("resolvers", resolvers.iter().map(Ipv4Addr::to_string).collect()),
    ]
    .join("\n");
    // Refused rather than dropped: programs that look for a metadata service would wait for it.
    let refuse = "reject with icmpx admin-prohibited";
    format!(
        r#"table inet {name} {{ }}
delete table inet {name}
table inet {name} {{
{sets}
chain sent {{
  meta nfproto != ipv4 drop
  ip saddr != {pool} drop
  oifname "{links}*" drop
  ip daddr @resolvers meta l4proto {{ tcp, udp }} th dport 53 accept
  ip daddr @never {refuse}
  ip daddr @allowed accept
  ip daddr @private {refuse}
}}
chain forward {{
  type filter hook forward priority filter; policy accept;
  iifname "{links}*" goto sent
  oifname "{links}*" ct state established,related accept
  oifname "{links}*" drop
}}
chain input {{
  type filter hook input priority filter; policy accept;
  iifname "{links}*" ct state established accept
  iifname "{links}*" drop
}}
chain postrouting {{
  type nat hook postrouting priority srcnat; policy accept;
  ip saddr {pool} masquerade
}}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_resolvers_and_networks_the_sets_are_empty() {
        let text = table("lambkin_x", Place(7), &[], &[]);
        assert_eq!(text.matches("elements").count(), 2, "{text}");
        let text =
            table("lambkin_x", Place(7), &["10.1.0.0/16".parse().expect("one")], &[Ipv4Addr::LOCALHOST]);
        assert!(text.contains("{ 10.1.0.0/16 }") && text.contains("{ 127.0.0.1 }"), "{text}");
    }
}
