//! Unmodified SDKs of four languages against the real server: each test is one property of one
//! SDK, named `sdk::property`. See README.md beside this file.

// A test is no core: it waits, reads the time and has threads.
#![allow(clippy::disallowed_methods)]

mod judge;
mod properties;
#[path = "../process/server.rs"]
mod server;

/// The same properties for every SDK, so that `cargo test --test sdk java_3_1_1` judges one SDK and
/// `cargo test --test sdk redoes` one property.
macro_rules! judged {
    ($($module:ident is $sdk:literal: $($property:ident)*;)*) => {$(
        mod $module {
            $(
                #[test]
                fn $property() {
                    if crate::judge::is_here($sdk) {
                        crate::properties::$property($sdk);
                    }
                }
            )*
        }
    )*};
}

judged! {
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
