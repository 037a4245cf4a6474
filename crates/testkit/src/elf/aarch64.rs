//! The programs for aarch64, an instruction a line, as a disassembler reads it back. A system
//! call's number is in `w8`.

/// Ends with 0.
pub(super) const TRUE: &[u32] = &[
    0x5280_0000, // 00: mov w0, #0
    0x5280_0ba8, // 04: mov w8, #93
    0xd400_0001, // 08: svc #0
];

/// Ends with 1.
pub(super) const FALSE: &[u32] = &[
    0x5280_0020, // 00: mov w0, #1
    0x5280_0ba8, // 04: mov w8, #93
    0xd400_0001, // 08: svc #0
];

/// Writes the 30 bytes after it and ends with 0.
pub(super) const HELLO: &[u32] = &[
    0x5280_0020, // 00: mov w0, #1
    0x1000_00e1, // 04: adr x1, #28
    0x5280_03c2, // 08: mov w2, #30
    0x5280_0808, // 0c: mov w8, #64
    0xd400_0001, // 10: svc #0
    0x5280_0000, // 14: mov w0, #0
    0x5280_0ba8, // 18: mov w8, #93
    0xd400_0001, // 1c: svc #0
];

/// Writes each argument, and what its final NUL is made into: a space, or a newline after the last.
pub(super) const ECHO: &[u32] = &[
    0xf940_03f3, // 00: ldr x19, [sp]
    0x9100_43f4, // 04: add x20, sp, #16
    0xf100_0673, // 08: subs x19, x19, #1
    0x5400_024d, // 0c: b.le 0x54
    0xf840_8681, // 10: ldr x1, [x20], #8
    0xd280_0002, // 14: mov x2, #0
    0x3862_6823, // 18: ldrb w3, [x1, x2]
    0x3400_0063, // 1c: cbz w3, 0x28
    0x9100_0442, // 20: add x2, x2, #1
    0x17ff_fffd, // 24: b 0x18
    0xf100_0673, // 28: subs x19, x19, #1
    0x5280_0403, // 2c: mov w3, #32
    0x5280_0144, // 30: mov w4, #10
    0x1a84_1063, // 34: csel w3, w3, w4, ne
    0x3822_6823, // 38: strb w3, [x1, x2]
    0x9100_0442, // 3c: add x2, x2, #1
    0x5280_0020, // 40: mov w0, #1
    0x5280_0808, // 44: mov w8, #64
    0xd400_0001, // 48: svc #0
    0xb5ff_fe33, // 4c: cbnz x19, 0x10
    0x1400_0008, // 50: b 0x70
    0x5280_0143, // 54: mov w3, #10
    0xf81f_0fe3, // 58: str x3, [sp, #-16]!
    0x9100_03e1, // 5c: mov x1, sp
    0x5280_0022, // 60: mov w2, #1
    0x5280_0020, // 64: mov w0, #1
    0x5280_0808, // 68: mov w8, #64
    0xd400_0001, // 6c: svc #0
    0x5280_0000, // 70: mov w0, #0
    0x5280_0ba8, // 74: mov w8, #93
    0xd400_0001, // 78: svc #0
];

/// Copies the files that its arguments name, or standard input, to standard output.
pub(super) const CAT: &[u32] = &[
    0xf940_03f3, // 00: ldr x19, [sp]
    0x9100_43f4, // 04: add x20, sp, #16
    0xd140_07ff, // 08: sub sp, sp, #1, lsl #12
    0x5280_0015, // 0c: mov w21, #0
    0xf100_0673, // 10: subs x19, x19, #1
    0x5400_012d, // 14: b.le 0x38
    0x1280_0c60, // 18: mov w0, #-100
    0xf840_8681, // 1c: ldr x1, [x20], #8
    0x5280_0002, // 20: mov w2, #0
    0x5280_0003, // 24: mov w3, #0
    0x5280_0708, // 28: mov w8, #56
    0xd400_0001, // 2c: svc #0
    0x37f8_02c0, // 30: tbnz w0, #31, 0x88
    0x2a00_03f5, // 34: mov w21, w0
    0x2a15_03e0, // 38: mov w0, w21
    0x9100_03e1, // 3c: mov x1, sp
    0x5282_0002, // 40: mov w2, #4096
    0x5280_07e8, // 44: mov w8, #63
    0xd400_0001, // 48: svc #0
    0xb7f8_01e0, // 4c: tbnz x0, #63, 0x88
    0xb400_0140, // 50: cbz x0, 0x78
    0xaa00_03f6, // 54: mov x22, x0
    0xaa00_03e2, // 58: mov x2, x0
    0x9100_03e1, // 5c: mov x1, sp
    0x5280_0020, // 60: mov w0, #1
    0x5280_0808, // 64: mov w8, #64
    0xd400_0001, // 68: svc #0
    0xeb16_001f, // 6c: cmp x0, x22
    0x5400_00c1, // 70: b.ne 0x88
    0x17ff_fff1, // 74: b 0x38
    0xf100_0673, // 78: subs x19, x19, #1
    0x54ff_fcec, // 7c: b.gt 0x18
    0x5280_0000, // 80: mov w0, #0
    0x1400_0002, // 84: b 0x8c
    0x5280_0020, // 88: mov w0, #1
    0x5280_0ba8, // 8c: mov w8, #93
    0xd400_0001, // 90: svc #0
];

/// Waits as many seconds as its argument says, or for 34 years.
pub(super) const SLEEP: &[u32] = &[
    0x12b8_0003, // 00: mov w3, #1073741823
    0xf940_03e1, // 04: ldr x1, [sp]
    0xf100_043f, // 08: cmp x1, #1
    0x5400_014d, // 0c: b.le 0x34
    0xf940_0be1, // 10: ldr x1, [sp, #16]
    0xd280_0003, // 14: mov x3, #0
    0xd280_0145, // 18: mov x5, #10
    0x3840_1424, // 1c: ldrb w4, [x1], #1
    0x5100_c084, // 20: sub w4, w4, #48
    0x7100_249f, // 24: cmp w4, #9
    0x5400_0068, // 28: b.hi 0x34
    0x9b05_1063, // 2c: madd x3, x3, x5, x4
    0x17ff_fffb, // 30: b 0x1c
    0xa9bf_7fe3, // 34: stp x3, xzr, [sp, #-16]!
    0x9100_03e0, // 38: mov x0, sp
    0xd280_0001, // 3c: mov x1, #0
    0x5280_0ca8, // 40: mov w8, #101
    0xd400_0001, // 44: svc #0
    0x5280_0000, // 48: mov w0, #0
    0x5280_0ba8, // 4c: mov w8, #93
    0xd400_0001, // 50: svc #0
];
