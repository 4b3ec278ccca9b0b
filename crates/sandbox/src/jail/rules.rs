//! The rules for what jails send and get, as text for `nft`: one table, removed as a whole.
//!
//! Every rule is for the jails' own links; the host's other traffic passes through untouched. What
//! another table drops (Docker's `FORWARD` policy, a firewall's) stays dropped.
//!
//! The same for who makes connections instead of passing packets (`guard`): [`Reach`].
//!
//! Deliberately not here: in which namespace they are, the host's (`nat`) or the router's (`egress`).

use std::net::Ipv4Addr;

use crate::network::Subnet;

/// Nobody's to reach, whatever is allowed: the host's own loopback, the clouds' metadata services
/// (Azure's has a public address), what is not one machine's address.
const NEVER: [&str; 6] =
    ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16", "224.0.0.0/4", "240.0.0.0/4"];

/// Not the internet (RFC 1918, 6598, 6890, 2544).
const PRIVATE: [&str; 6] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15"];

/// Which addresses are reached, by the rules alone: what is the host's own is for whoever asks to see to.
pub(super) struct Reach {
    never: Vec<Subnet>,
    private: Vec<Subnet>,
    allow: Vec<Subnet>,
}

impl Reach {
    pub(super) fn new(allow: &[Subnet]) -> Self {
        let read = |written: &[&str]| written.iter().flat_map(|text| text.parse()).collect();
        Self { never: read(&NEVER), private: read(&PRIVATE), allow: allow.to_vec() }
    }

    pub(super) fn permits(&self, address: Ipv4Addr) -> bool {
        let is_in =
            |subnets: &[Subnet]| subnets.iter().any(|subnet| subnet.overlaps(Subnet::new(address, 32)));
        !is_in(&self.never) && (is_in(&self.allow) || !is_in(&self.private))
    }
}

/// What differs.
pub(super) struct Rules<'a> {
    pub(super) name: &'a str,
    /// By whoever loads it: nobody else can change it, and it goes with that process.
    pub(super) owned: bool,
    /// How the names of the jails' links begin.
    pub(super) links: &'a str,
    /// The jails' addresses.
    pub(super) pool: Subnet,
    pub(super) allow: &'a [Subnet],
    /// Asked for names wherever they are.
    pub(super) resolvers: &'a [Ipv4Addr],
    /// Refused too, whatever is allowed.
    pub(super) never: &'a [Subnet],
    /// Of one jail at once.
    pub(super) connections: Option<u32>,
}

/// The table, from nothing: what is there of the same name goes.
pub(super) fn table(rules: &Rules<'_>) -> String {
    let Rules { name, owned, links, pool, allow, resolvers, never, connections } = *rules;
    let set = |name: &str, elements: Vec<String>| {
        let elements = match elements.is_empty() {
            true => String::new(),
            false => format!("elements = {{ {} }}", elements.join(", ")),
        };
        format!("set {name} {{ type ipv4_addr; flags interval; auto-merge; {elements}\n}}")
    };
    let written = |addresses: &[&str]| addresses.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let subnets = |subnets: &[Subnet]| subnets.iter().map(Subnet::to_string).collect::<Vec<_>>();
    let sets = [
        set("never", [written(&NEVER), subnets(&[pool]), subnets(never)].concat()),
        set("private", written(&PRIVATE)),
        set("allowed", subnets(allow)),
        set("resolvers", resolvers.iter().map(Ipv4Addr::to_string).collect()),
    ]
    .join("\n");
    // Refused rather than dropped: programs that look for a metadata service, or for the host, would wait for it.
    let refuse = "reject with icmpx admin-prohibited";
    let (counted, most) = match connections {
        Some(most) => (
            "set counted { type ipv4_addr; flags dynamic; size 65535; }",
            format!("ct state new add @counted {{ ip saddr ct count over {most} }} {refuse}"),
        ),
        None => ("", String::new()),
    };
    let flags = if owned { "flags owner" } else { "" };
    format!(
        r#"table inet {name} {{ }}
delete table inet {name}
table inet {name} {{
{flags}
{sets}
{counted}
chain sent {{
  meta nfproto != ipv4 drop
  ip saddr != {pool} drop
  oifname "{links}*" {refuse}
  {most}
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
  iifname "{links}*" ip saddr {pool} {refuse}
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
    fn what_is_reached() {
        let reach =
            Reach::new(&["10.1.0.0/16", "169.254.0.0/16"].map(|text| text.parse().expect("a network")));
        assert_eq!((reach.never.len(), reach.private.len()), (NEVER.len(), PRIVATE.len()));
        for (address, expected) in [
            ("198.51.100.1", true),
            ("8.8.8.8", true),
            ("10.1.2.3", true),
            ("10.2.0.0", false),
            ("172.31.255.255", false),
            ("172.32.0.0", true),
            ("192.168.0.1", false),
            ("100.64.0.1", false),
            ("198.18.0.1", false),
            ("169.254.169.254", false),
            ("168.63.129.16", false),
            ("127.0.0.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(reach.permits(address.parse().expect("an address")), expected, "{address}");
        }
    }

    #[test]
    fn without_resolvers_and_networks_the_sets_are_empty() {
        let subnet = |text: &str| text.parse::<Subnet>().expect("a network");
        let rules = Rules {
            name: "lambkin_x",
            owned: false,
            links: "lk07",
            pool: subnet("100.71.0.0/16"),
            allow: &[],
            resolvers: &[],
            never: &[],
            connections: None,
        };
        let text = table(&rules);
        assert_eq!(text.matches("elements").count(), 2, "{text}");
        assert!(!text.contains("counted") && !text.contains("flags owner"), "{text}");
        let text = table(&Rules {
            owned: true,
            allow: &[subnet("10.1.0.0/16")],
            resolvers: &[Ipv4Addr::LOCALHOST],
            never: &[subnet("192.0.2.2")],
            connections: Some(7),
            ..rules
        });
        for part in [
            "{ 10.1.0.0/16 }",
            "{ 127.0.0.1 }",
            "100.71.0.0/16, 192.0.2.2/32 }",
            "ct count over 7",
            "flags owner",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
