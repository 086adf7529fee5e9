//! Unmodified SDKs of four languages against the real server: each test is one property of one
//! SDK, named `sdk::property`. See README.md beside this file.

// A test is no core: it waits, reads the time and has threads.
#![allow(clippy::disallowed_methods)]

mod judge;
mod maintainer;
#[path = "../process/port.rs"]
mod port;
mod properties;
mod properties_auth;
mod properties_config;
mod properties_http;
mod properties_persistent;
#[path = "../process/server.rs"]
mod server;

/// The same properties for every SDK, so that `cargo test --test sdk java_3_1_1` judges one SDK and
/// `cargo test --test sdk redoes` one property.
macro_rules! judged {
    ($from:ident: $($module:ident is $sdk:literal: $($property:ident)*;)*) => {$(
        mod $module {
            $(
                #[test]
                fn $property() {
                    if crate::judge::is_here($sdk) {
                        crate::$from::$property($sdk);
                    }
                }
            )*
        }
    )*};
}

judged! {
    properties:
    java_3_1_1 is "java-3.1.1":
        registers_and_is_found registers_a_batch_and_replaces_it
        is_told_of_add_change_and_removal stops_being_told leaves_with_its_connection
        redoes_after_restart;
    java_2_5_1 is "java-2.5.1":
        registers_and_is_found registers_a_batch_and_replaces_it
        is_told_of_add_change_and_removal stops_being_told leaves_with_its_connection
        redoes_after_restart;
    go_2_3_2 is "go-2.3.2":
        registers_and_is_found registers_a_batch_and_replaces_it
        is_told_of_add_change_and_removal stops_being_told leaves_with_its_connection
        redoes_after_restart;
    python_3_2_0 is "python-3.2.0":
        registers_and_is_found registers_a_batch_and_replaces_it
        is_told_of_add_change_and_removal stops_being_told leaves_with_its_connection
        redoes_after_restart;
    python_2_0_11 is "python-2.0.11":
        registers_and_is_found registers_a_batch_and_replaces_it
        is_told_of_add_change_and_removal stops_being_told leaves_with_its_connection
        redoes_after_an_outage_it_noticed;
    rust_0_8_3 is "rust-0.8.3":
        registers_and_is_found registers_a_batch_and_replaces_it
        is_told_of_add_change_and_removal stops_being_told leaves_with_its_connection
        redoes_after_restart calls_within_a_millisecond;
}

judged! {
    properties_config:
    java_3_1_1_config is "java-3.1.1":
        lives_and_outlives_a_crash watches_patterns spells_the_default_namespace_either_way;
    java_2_5_1_config is "java-2.5.1": lives_and_outlives_a_crash;
    go_2_3_2_config is "go-2.3.2": lives_and_outlives_a_crash;
    python_3_2_0_config is "python-3.2.0": lives_and_outlives_a_crash;
    python_2_0_11_config is "python-2.0.11": lives_and_outlives_a_crash;
    rust_0_8_3_config is "rust-0.8.3": lives_and_outlives_a_crash;
}

judged! {
    properties_persistent:
    java_3_1_1_persistent is "java-3.1.1":
        outlive_client_and_crash a_service_is_of_one_kind health_checks_flip_both_ways
        http_checks_flip_both_ways metadata_written_later_overrides;
    go_2_3_2_persistent is "go-2.3.2": outlive_client_and_crash a_service_is_of_one_kind;
}

// Clients without a connection: they live by beats and are told by datagram, or poll.
judged! {
    properties_http:
    java_1_4_8 is "java-1.4.8":
        registers_and_is_found is_told_of_add_change_and_removal stays_while_it_beats
        leaves_when_it_falls_silent redoes_after_restart is_told_by_datagram config_lives;
    npm_2_6_3 is "npm-2.6.3":
        registers_and_is_found is_told_of_add_change_and_removal stays_while_it_beats
        leaves_when_it_falls_silent redoes_after_restart is_told_by_datagram config_lives;
    python_http_1_0_0 is "python_http-1.0.0":
        registers_and_is_found is_told_of_add_change_and_removal stays_while_it_beats
        leaves_when_it_falls_silent redoes_after_restart config_lives;
    python_http_0_1_17 is "python_http-0.1.17":
        registers_and_is_found is_told_of_add_change_and_removal stays_while_it_beats
        leaves_when_it_falls_silent redoes_after_restart config_lives;
}

// Both generations where everybody has to log in.
judged! {
    properties_auth:
    java_3_1_1_auth is "java-3.1.1": logs_in_is_refused_and_recovers;
    java_2_5_1_auth is "java-2.5.1": logs_in_is_refused_and_recovers;
    go_2_3_2_auth is "go-2.3.2": logs_in_is_refused_and_recovers;
    python_3_2_0_auth is "python-3.2.0": logs_in_is_refused_and_recovers;
    rust_0_8_3_auth is "rust-0.8.3": logs_in_is_refused_and_recovers;
    java_1_4_8_auth is "java-1.4.8": logs_in_is_refused_and_recovers;
    npm_2_6_3_auth is "npm-2.6.3": logs_in_is_refused_and_recovers;
    python_http_1_0_0_auth is "python_http-1.0.0": logs_in_is_refused_and_recovers;
    python_http_0_1_17_auth is "python_http-0.1.17": logs_in_is_refused_and_recovers;
}
