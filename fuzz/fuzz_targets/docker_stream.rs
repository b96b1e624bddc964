#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::docker_stream::check(data));
