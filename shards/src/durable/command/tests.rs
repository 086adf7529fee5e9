use super::*;
use crate::auth::identities::{Rights, Secret};
use crate::config::gray::RuleKind;
use crate::durable::naming::{ClusterDraft, EditDraft, Flips, Form, Mode, Named, Places, Texts};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    grays_max: 10,
    history_entries_max: 1_000,
    history_bytes_max: 1 << 30,
    quotas: Some(Quotas { cluster: 100_000, namespace: 200, content_bytes: 102_400 }),
};

const NAME: ConfigName<'static> = ConfigName { data_id: "a.yaml", group: "G", namespace: "public" };

const NAMED: Named<'static> = Named { namespace: "public", group: "G", service: "s" };

const TEXTS: Texts<'static> =
    Texts { protect_threshold_bits: 0x3f00_0000, metadata: "{}", selector: "{}" };

const CLUSTER: ClusterDraft<'static> = ClusterDraft {
    name: "c",
    check_port: 80,
    use_instance_port: true,
    checker: "{\"type\":\"TCP\"}",
    metadata: "{}",
};

const EDIT: EditDraft<'static> = EditDraft {
    mode: Mode::Patch,
    weight_bits: Some(0x4000_0000_0000_0000),
    enabled: Some(false),
    metadata: Some("{\"a\":\"b\"}"),
};

/// Healthy and enabled 10.0.0.1:80 of weight 1 in no cluster, with metadata.
const FORM: &[u8] = b"\x07\x0810.0.0.1\x50\x00\x01\x00\0\0\0\0\0\0\xf0\x3f\x09{\"a\":\"b\"}";

/// One flip to unhealthy of what was registered at 300.
const FLIPS: &[u8] = b"\x01\x06public\x01G\x01s\x0810.0.0.1\x50\x00\xac\x02";

/// One place, seen at 7.
const PLACES: &[u8] = b"\x01\x0810.0.0.1\x50\x07DEFAULT\x07";

fn examples() -> Vec<Command<'static>> {
    let mut all = of_configs();
    all.extend(of_naming());
    all
}

fn of_configs() -> Vec<Command<'static>> {
    let details = Details { config_type: "yaml", source_ip: "::1", ..Details::default() };
    let rule = Rule { kind: RuleKind::Tag, expression: "t1", priority: -1 };
    let publish = Publish {
        at_ms: 1_795_264_950_755,
        limits: LIMITS,
        name: NAME,
        gray: None,
        cas_md5: "",
        md5: Md5::of("x"),
        details,
        content: "x",
    };
    let namespace = NamespaceDraft { at_ms: 1, id: "dev", name: "Dev", description: "é" };
    let sizes = Sizes { quota: 7, content_bytes: u32::MAX, ..Sizes::default() };
    vec![
        Command::Publish(publish),
        Command::Publish(Publish {
            gray: Some(GrayDraft { name: "tag_t1", rule }),
            cas_md5: "c32ab5951a0460cb3dd1724bdc4f00f2",
            limits: Limits { quotas: None, ..LIMITS },
            ..publish
        }),
        Command::Remove(Remove {
            at_ms: 2,
            limits: LIMITS,
            name: NAME,
            gray: "beta",
            source_user: "nacos",
            source_ip: "10.0.0.1",
        }),
        Command::CreateNamespace(namespace),
        Command::UpdateNamespace(namespace),
        Command::DeleteNamespace { id: "dev" },
        Command::SweepHistory { before_ms: 3 },
        Command::SetCapacity(CapacityDraft { at_ms: 4, scope: Scope::Group, id: "G", sizes }),
        Command::Identity(Change::FirstAdministrator { hash: Secret("$2a$10$x") }),
        Command::Identity(Change::CreateUser { name: "u", hash: Secret("$2a$10$x") }),
        Command::Identity(Change::SetPassword { name: "u", hash: Secret("$2a$10$x") }),
        Command::Identity(Change::DeleteUser { name: "u" }),
        Command::Identity(Change::AddRole { role: "r", user: "u" }),
        Command::Identity(Change::RemoveRole { role: "r", user: "" }),
        Command::Identity(Change::AddPermission {
            role: "r",
            resource: "dev:*:*",
            rights: Rights::Both,
        }),
        Command::Identity(Change::RemovePermission {
            role: "r",
            resource: "dev:*:*",
            rights: Rights::Read,
        }),
        Command::Identity(Change::OfferKey { key: &[1, 2, 3] }),
    ]
}

fn of_naming() -> Vec<Command<'static>> {
    vec![
        Command::Naming(naming::Change::Register { service: NAMED, instance: Form(FORM) }),
        Command::Naming(naming::Change::Deregister { service: NAMED, ip: "10.0.0.1", port: 80 }),
        Command::Naming(naming::Change::SetHealth { flips: Flips::of(FLIPS) }),
        Command::Naming(naming::Change::Create {
            service: NAMED,
            seen: 5,
            ephemeral: true,
            texts: TEXTS,
        }),
        Command::Naming(naming::Change::Update { service: NAMED, texts: TEXTS }),
        Command::Naming(naming::Change::Remove { service: NAMED, seen: 300 }),
        Command::Naming(naming::Change::SetCluster { service: NAMED, cluster: CLUSTER }),
        Command::Naming(naming::Change::Edit {
            service: NAMED,
            edit: EDIT,
            places: Places::of(PLACES),
        }),
        Command::Naming(naming::Change::Forget { service: NAMED, places: Places::of(PLACES) }),
    ]
}

#[test]
fn what_was_encoded_reads_back() {
    for command in examples() {
        assert_eq!(Command::decode(&command.encode()), Ok(command));
    }
}

#[test]
fn what_is_cut_long_or_new_is_refused() {
    for command in examples() {
        let bytes = command.encode();
        for end in 0..bytes.len() {
            assert!(Command::decode(&bytes[..end]).is_err(), "{command:?} cut at {end}");
        }
        let mut long = bytes.to_vec();
        long.push(0);
        assert_eq!(Command::decode(&long), Err("more bytes than expected"));
        long.pop();
        long[0] = 2;
        assert_eq!(Command::decode(&long), Err("a command of a version this build does not know"));
        long[0] = 1;
        long[1] = 200;
        assert_eq!(Command::decode(&long), Err("a command of a kind this build does not know"));
    }
}

/// The log of a released version must stay readable: these bytes never change.
#[test]
fn the_form_is_the_released_one() {
    let remove = examples().remove(2).encode();
    assert_eq!(
        &remove[..],
        b"\x01\x02\x02\x0a\xe8\x07\x80\x80\x80\x80\x04\x01\xa0\x8d\x06\xc8\x01\x80\xa0\x06\
          \x06a.yaml\x01G\x06public\x04beta\x05nacos\x0810.0.0.1"
    );
}

/// Likewise of services and persistent instances.
#[test]
fn the_forms_of_naming_are_the_released_ones() {
    const START: &[u8] = b"\x06public\x01G\x01s";
    let mut register = b"\x01\x11\x01".to_vec();
    register.extend_from_slice(START);
    register.push(FORM.len() as u8);
    register.extend_from_slice(FORM);
    let mut health = b"\x01\x11\x03".to_vec();
    health.push(FLIPS.len() as u8);
    health.extend_from_slice(FLIPS);
    let with = |before: &[u8], after: &[u8]| [before, START, after].concat();
    let texts = b"\0\0\0\x3f\x02{}\x02{}";
    let expected = [
        register,
        with(b"\x01\x11\x02", b"\x0810.0.0.1\x50"),
        health,
        with(b"\x01\x11\x04", &[b"\x05\x01", &texts[..]].concat()),
        with(b"\x01\x11\x05", texts),
        with(b"\x01\x11\x06", b"\xac\x02"),
        with(b"\x01\x11\x07", b"\x01c\x50\x01\x0e{\"type\":\"TCP\"}\x02{}"),
        with(
            b"\x01\x11\x08",
            b"\x02\x0b\0\0\0\0\0\0\0\x40\x09{\"a\":\"b\"}\x14\x01\x0810.0.0.1\x50\x07DEFAULT\x07",
        ),
        with(b"\x01\x11\x09", b"\x14\x01\x0810.0.0.1\x50\x07DEFAULT\x07"),
    ];
    for (command, expected) in of_naming().iter().zip(expected) {
        assert_eq!(command.encode(), expected, "{command:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..300), kind in 0u8..20) {
        let _ = Command::decode(&bytes);
        let mut bytes = bytes;
        bytes.splice(..0, [VERSION, kind]);
        let _ = Command::decode(&bytes);
    }

    #[test]
    fn one_changed_byte_is_read_without_panic(which in 0usize..26, at in any::<usize>(), byte: u8) {
        let mut bytes = examples()[which].encode().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Command::decode(&bytes);
    }
}
