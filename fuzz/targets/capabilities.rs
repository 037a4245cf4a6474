#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prebake_fuzz::run("capabilities", data));
