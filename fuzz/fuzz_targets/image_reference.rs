#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::image_reference::check(data));
