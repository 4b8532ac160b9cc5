# SPDX-License-Identifier: GPL-2.0-only
"""Building Rust extensions with a real compiler: what comes out, and what is refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab import events, inputs
from lab.cache import Cache
from lab.errors import UserError
from lab.extension.rust import build as rust
from lab.extension.rust import frames
from lab.extension.rust import image as rust_image
from lab.extension.rust.build import RustRejected, build_rust
from lab.extension.rust.toolchain import find_toolchain
from lab.workspace import CHECKOUT, Workspace

pytestmark = pytest.mark.integration

PROGRAM = '#[rex_kprobe("f")] fn program(context: &Kprobe) -> i32 { context.ip() as i32 }\n'
HEAD = "#![no_std]\nuse rex::prelude::*;\n"


@pytest.fixture(scope="module")
def cache() -> Cache:
    return Cache.default()


def write(folder: Path, text: str, manifest: str | None = None) -> Path:
    (folder / "it/src").mkdir(parents=True)
    (folder / "it/src/lib.rs").write_text(text)
    if manifest is not None:
        (folder / "it/Cargo.toml").write_text(manifest)
    return folder


def only(folder: Path) -> Workspace:
    """A workspace with no Rust extensions but those of a folder."""
    return replace(Workspace.default(), rust=(folder,))


def build(folder: Path, cache: Cache) -> Path:
    return build_rust(only(folder), "it", cache).path


def test_a_program_becomes_an_image_that_the_kernel_takes(tmp_path: Path, cache: Cache) -> None:
    image = build(write(tmp_path, HEAD + PROGRAM), cache)
    headers = subprocess.run(
        ["readelf", "-lrW", image], check=True, capture_output=True, text=True
    ).stdout
    assert "Elf file type is DYN" in headers
    assert "RWE" not in headers
    assert set(re.findall(r"R_X86_64_\w+", headers)) <= {"R_X86_64_RELATIVE", "R_X86_64_GLOB_DAT"}
    # It holds no place of the machine that built it.
    for built in (image, image.with_suffix(".debug")):
        for place in (tmp_path, Path.cwd(), Path.home(), cache.root):
            assert f"{place}/".encode() not in built.read_bytes()
    assert image.stat().st_size < 32 << 10


def test_the_same_sources_make_the_same_image(tmp_path: Path, cache: Cache) -> None:
    one = build(write(tmp_path / "one", HEAD + PROGRAM), cache)
    cache.remove("extension", one.parent.name)
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other", HEAD + PROGRAM)
    first = build(other, cache).read_bytes()
    cache.remove("extension", one.parent.name)
    assert build(tmp_path / "one", cache).read_bytes() == first


def test_what_an_extension_is_made_of_decides(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = PROGRAM.replace("ip() as i32", "ip() as i32 + part::N")
    folder = write(tmp_path, f"{HEAD}mod part;\n{program}")
    part = folder / "it/src/part.rs"
    part.write_text("pub const N: i32 = 1;\n")
    first = build(folder, cache)
    part.write_text("pub const N: i32 = 2;\n")
    assert build(folder, cache) != first
    part.write_text("pub const N: i32 = 1;\n")
    seen: list[events.Event] = []
    assert build_rust(only(folder), "it", cache, seen.append).path == first
    assert seen == []
    # A variable of the environment is an input like a file.
    part.write_text('pub const N: i32 = env!("PATH").len() as i32;\n')
    first = build(folder, cache)
    assert build(folder, cache) == first
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/nowhere")
    assert build(folder, cache) != first


def test_each_source_of_the_crate_is_in_its_key(tmp_path: Path, cache: Cache) -> None:
    """No compiler runs: a copy of the crate finds the same entry until it is changed."""
    own = Workspace.default().crate
    crate = rust._crate(own, find_toolchain(), ("faults",), cache, events.ignore).parent
    (manifest,) = (cache.root / "inputs").glob(f"*/{crate.name}.json")
    copy = tmp_path / "rex"
    shutil.copytree(own, copy)
    direct, variables = manifest.parent.name, find_toolchain().environment

    def is_found() -> bool:
        return inputs.find(cache, "rust", direct, copy, variables) == crate

    assert is_found()
    for path in sorted(copy.rglob("*.rs")):
        text = path.read_text()
        path.write_text(text + "\n")
        assert not is_found(), path
        path.write_text(text)
        assert is_found()


# What of the shipped extensions is larger than their stack, on purpose.
HUGE = {"stack": ["stack::take::<81920>", "stack::take::<57344>"]}


@pytest.mark.parametrize("name", Workspace.default().names("rust"))
def test_a_shipped_extension_builds_without_a_warning(name: str, cache: Cache) -> None:
    lines = build_rust(Workspace.default(), name, cache).log.splitlines()
    assert len(lines) == len(HUGE.get(name, []))
    for line, function in zip(lines, HUGE.get(name, []), strict=True):
        assert re.fullmatch(
            rf"warning: {function} at src/lib\.rs:\d+ takes \d+ bytes of the stack,"
            r" which has 57320: a run that calls it overflows",
            line,
        )


@pytest.mark.parametrize("name", Workspace.default().names("rust"))
def test_every_function_has_room_for_a_check_of_the_stack(name: str, cache: Cache) -> None:
    """Those of the library, too."""
    debug = build_rust(Workspace.default(), name, cache).debug
    found = frames.frames_of(name, debug)
    assert len(found) > 3
    assert all(frame.room for frame in found)


# Ways around the language, each with a part of its error. The compiler's errors are its own.
DOORS = [
    ("unsafe", "fn f() { unsafe { core::hint::unreachable_unchecked() } }", "unsafe"),
    ("unsafe fn", "pub unsafe fn f() {}", "unsafe"),
    ("unsafe impl", "struct A; unsafe impl Plain for A {}", "unsafe"),
    ("unsafe trait", "pub unsafe trait A {}", "unsafe"),
    ("by macro", "macro_rules! m { () => { unsafe { 1 } } }\npub fn f() -> i32 { m!() }", "unsafe"),
    ("global_asm", 'core::arch::global_asm!("nop");', "global_asm"),
    ("asm", 'pub fn f() { core::arch::asm!("nop"); }', "unsafe"),
    (
        "naked",
        '#[unsafe(naked)] pub fn f() { core::arch::naked_asm!("ret") }',
        "it/src/lib.rs:3: `naked` is not for extensions",
    ),
    (
        "hidden behind a lifetime",
        'macro_rules! skip { ($($t:tt)*) => {} }\nskip!(\'r"\\"");\n'
        '#[unsafe(naked)] fn f() { core::arch::naked_asm!("ret") }\n//"',
        "`naked` is not for extensions",
    ),
    (
        "hidden behind a raw string",
        'macro_rules! skip { ($($t:tt)*) => {} }\nskip!(r#"a"##);\n'
        '#[unsafe(naked)] fn f() { core::arch::naked_asm!("ret") }\nskip!("#);',
        "`naked` is not for extensions",
    ),
    ("raw naked", "#[unsafe(r#naked)] pub fn f() {}", "`naked` is not for extensions"),
    ("no_mangle", "#[unsafe(no_mangle)] pub fn memcpy() {}", "no_mangle"),
    ("export_name", '#[unsafe(export_name = "rex_panic")] pub fn f() {}', "export_name"),
    ("link_section", '#[unsafe(link_section = ".rex.progs")] static A: u32 = 1;', "link_section"),
    ("foreign", 'unsafe extern "C" { safe fn rex_task_put(task: usize); }', "`extern` is not"),
    ("other rex", "extern crate self as rex;", "`extern` is not for extensions"),
    ("std", "pub fn f() { ::std::process::abort() }", "std"),
    ("alloc", "use ::alloc::vec::Vec;", "alloc"),
    ("feature", None, "feature"),
    ("allow", None, "allow.unsafe_code"),
    ("map by unsafe", "#[rex_map] static A: Array<u64> = unsafe { Array::new(1) };", "unsafe"),
    ("no map", "#[rex_map] static A: u64 = 5;", "A|named"),
    ("other context", '#[rex_kprobe("f")] fn g(c: &Xdp) {}', "needs a function of &Kprobe"),
    ("two kprobes", '#[rex_kprobe("f")] fn program(c: &Kprobe) {}', "program"),
    ("wrong return", "#[rex_xdp] fn g(c: &Xdp) -> i32 { 5 }", "Returns"),
    ("block", '#[rex_kprobe("f")] fn g(c: &RawTracepoint<{ 2 }>) {}', "must precede a function"),
    ("gap", "#[rex_plain] struct A { a: u8, b: u32 }", "leave gaps"),
    ("alignment", "#[rex_plain] #[repr(align(64))] struct A { a: [u64; 8] }", "aligned to 8"),
    ("reference", "#[rex_plain] struct A { a: &'static u8 }", "Plain"),
    ("bool", "#[rex_plain] struct A { a: bool }", "Plain"),
    ("by hand", "#[rex_kprobe(5)] fn g(c: &Kprobe) {}", "expected a target"),
    ("misaligned", "pub fn f(b: &[u8]) -> Option<&u32> { rex::plain::header(b) }", None),
    (
        "misaligned use",
        "#[rex_xdp] fn g(c: &Xdp) -> XdpAction { c.header::<u32>(1).unwrap(); XdpAction::Pass }",
        "made of bytes",
    ),
    (
        "panic handler",
        "#[panic_handler] fn f(i: &core::panic::PanicInfo) -> ! { loop {} }",
        "panic",
    ),
    (
        "float",
        '#[rex_kprobe("g")] fn g(c: &Kprobe) -> i32 { (c.ip() as f64 * 1.5) as i32 }',
        "computes with floating-point numbers .* at .*src/lib.rs:3",
    ),
    ("large value", "#[rex_map] static A: Array<[u8; (1 << 32) + 4]> = Array::new(1);", "16 KiB"),
    (
        "large lock",
        "type B = [u8; (1 << 32) + 4]; #[rex_map] static A: Array<Locked<B>> = Array::new(1);",
        "16 KiB",
    ),
    ("large key", "#[rex_map] static A: HashMap<[u64; 4096], u8> = HashMap::new(1);", "16 KiB"),
    (
        "large context",
        '#[rex_raw_tracepoint("s")] fn g(c: &RawTracepoint<536870912>) {}',
        "context is too large",
    ),
    (
        "large read",
        '#[rex_kprobe("g")] fn g(c: &Kprobe) { let _ = kernel::read_kernel::<[u64; 4096]>(5); }',
        "16 KiB",
    ),
    (
        "own compile_error",
        "macro_rules! compile_error { ($($t:tt)*) => {} }\nstruct A { r: &'static AtomicU64 }\n"
        "#[rex_plain] #[rex_map] struct A { number: u64 }",
        "there may be only",
    ),
    (
        "own compile_error alone",
        "macro_rules! compile_error { ($($t:tt)*) => {} }\n#[rex_map] struct A { number: u64 }",
        "must precede",
    ),
    (
        "own assert",
        "macro_rules! assert { ($($t:tt)*) => {} }\n#[rex_plain] struct A { a: u8, b: u32 }",
        "leave gaps",
    ),
    (
        "own assert of a context",
        'macro_rules! assert { ($($t:tt)*) => {} }\n#[rex_raw_tracepoint("s")] fn g(c: &Kprobe) {}',
        "needs a function of &RawTracepoint",
    ),
    (
        "own size_of",
        "const fn size_of<T>() -> usize { 0 }\n#[rex_plain] struct A { a: u8, b: u32 }",
        "leave gaps",
    ),
    ("cfg of a field", "#[rex_plain] struct A { b: u64, #[cfg(false)] a: u8 }", "only doc"),
    # There is none then.
    ("cfg of a structure", "#[rex_plain] #[cfg(false)] struct A { b: u64 }", None),
    ("late attribute", "#[rex_plain] #[non_exhaustive] struct A { b: u64 }", "may be only"),
    ("code in a field", "#[rex_plain] struct A { a: [u8; { 5 }] }", "no code in a type"),
    ("code in a map", "#[rex_map] static A: Array<[u8; { 5 }]> = Array::new(1);", "no code in a"),
    ("other fields", "mod m { pub struct A; }\n#[rex_plain] struct A { a: u8, a: u8 }", "A|a"),
    ("return", "struct N; impl rex::expansion::Returns<Xdp<'_>> for N {}", "Sealed|sealed"),
    ("include", 'static A: &str = include_str!("/etc/passwd");', "includes /etc/passwd"),
    ("module", '#[path = "/etc/passwd"] mod a;', "passwd"),
    ("environment", 'pub static A: &str = env!("LAB_SECRET");', "LAB_SECRET"),
    ("no program", None, "has no program"),
]
WHOLE = {
    "feature": "#![no_std]\n#![feature(core_intrinsics)]\n",
    "allow": "#![no_std]\n#![allow(unsafe_code)]\nfn f() { unsafe {} }\n",
    "no program": "#![no_std]\nuse rex as _;\n",
}


@pytest.mark.parametrize(
    ("text", "said"),
    [(WHOLE.get(name) or f"{HEAD}{text}\n{PROGRAM}", said) for name, text, said in DOORS],
    ids=[name for name, _, _ in DOORS],
)
def test_a_door_is_closed(
    tmp_path: Path,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    said: str | None,
) -> None:
    monkeypatch.setenv("LAB_SECRET", "the hidden tests' seed")
    folder = write(tmp_path, text)
    if said is None:
        build(folder, cache)
        return
    with pytest.raises(RustRejected) as error:
        build(folder, cache)
    assert re.search(said, str(error.value)), str(error.value)


REX = '[dependencies]\nrex = { path = "../../rex" }\n'
NAME = '[package]\nname = "it"\nversion = "0.1.0"\nedition = "2024"\n'


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (NAME + REX, None),
        (NAME + '[dependencies]\nrex = { path = "../../rex", features = ["faults"] }\n', None),
        (NAME + REX + 'libc = "0.2"\n', "dependencies.libc is not for extensions"),
        (NAME + 'build = "make.rs"\n' + REX, "package.build is not"),
        (NAME + REX + '[build-dependencies]\ncc = "1"\n', "build-dependencies is not"),
        (NAME + REX + "[lib]\nproc-macro = true\n", "lib.proc-macro is not"),
        (NAME + REX + "[profile.release]\nopt-level = 0\n", "profile is not"),
        (NAME + '[dependencies]\nrex = { git = "https://example.org" }\n', "dependencies.rex"),
        (NAME + '[dependencies]\nrex = "1"\n', "dependencies.rex is not"),
        (NAME + '[dependencies]\nrex = { features = ["all"] }\n', "no feature all"),
        ("[package\n", "Cargo.toml"),
        ("lib = 5\n", "lib = ... is not"),
        ("dependencies = 5\n", "dependencies = ... is not"),
        ("[dependencies]\nrex = { features = 5 }\n", "features = ... is not"),
    ],
)
def test_a_manifest_brings_nothing_in(
    tmp_path: Path, cache: Cache, manifest: str, said: str | None
) -> None:
    folder = write(tmp_path, HEAD + PROGRAM, manifest)
    if said is None:
        build(folder, cache)
        return
    with pytest.raises(RustRejected, match=said):
        build(folder, cache)


def test_a_build_script_is_refused(tmp_path: Path, cache: Cache) -> None:
    folder = write(tmp_path, HEAD + PROGRAM)
    (folder / "it/build.rs").write_text("fn main() {}\n")
    with pytest.raises(RustRejected, match=r"build\.rs"):
        build(folder, cache)


@pytest.mark.parametrize("name", ["a:b.rs", "x\nsrc/lib.rs", "a b"])
def test_a_file_elsewhere_is_found_whatever_its_name(
    tmp_path: Path, cache: Cache, name: str
) -> None:
    other = tmp_path / "other" / name
    other.parent.mkdir(parents=True)
    other.write_text("secret")
    text = f'static A: &str = include_str!("{other!s}");\n'.replace("\n", "\\n", name.count("\n"))
    with pytest.raises(RustRejected, match="includes"):
        build(write(tmp_path, HEAD + text + PROGRAM), cache)


def test_a_link_in_the_sources_is_refused(tmp_path: Path, cache: Cache) -> None:
    folder = write(tmp_path, HEAD + 'static A: &str = include_str!("a.rs");\n' + PROGRAM)
    (folder / "it/src/a.rs").symlink_to("/etc/passwd")
    with pytest.raises(RustRejected, match=r"a\.rs: a link"):
        build(folder, cache)


def test_programs_may_have_the_names_of_what_is_made_of_them(tmp_path: Path, cache: Cache) -> None:
    text = "".join(
        f'#[rex_kprobe("f")] fn {name}(_: &Kprobe) {{}}\n'
        for name in ("entry", "raw", "context", "only")
    )
    build(write(tmp_path, HEAD + text), cache)


def test_faults_are_for_those_who_say_so(tmp_path: Path, cache: Cache) -> None:
    text = HEAD + "pub fn f() -> u64 { rex::faults::read(8) }\n" + PROGRAM
    with pytest.raises(RustRejected, match="faults"):
        build(write(tmp_path / "without", text), cache)
    manifest = NAME + '[dependencies]\nrex = { path = "../../rex", features = ["faults"] }\n'
    build(write(tmp_path / "with", text, manifest), cache)


def test_an_image_for_another_kernel_is_refused(tmp_path: Path) -> None:
    """One that was built without saying its frames."""
    (tmp_path / "a.s").write_text('.section .rex.progs,"aw"\n.quad 0\n')
    for words in (["as", "-o", "a.o", "a.s"], ["ld", "-shared", "-o", "a.so", "a.o"]):
        subprocess.run(words, cwd=tmp_path, check=True)
    with pytest.raises(UserError, match="does not say how large its frames are"):
        rust_image.check_image("a", tmp_path / "a.so", frozenset())


def test_a_vector_register_is_found(tmp_path: Path) -> None:
    """Nothing that rustc makes for this target has one; so in an image that gcc made."""
    (tmp_path / "a.c").write_text("double f(double a) { return a * 2; }\n")
    image = tmp_path / "a.so"
    subprocess.run(
        ["gcc", "-g", "-O1", "-shared", "-nostdlib", "-o", image, "a.c"], cwd=tmp_path, check=True
    )
    with pytest.raises(UserError, match=r"vector or floating-point registers .* at .*a\.c:1"):
        rust_image.check_code("a", image)


def test_the_crate_imports_what_the_kernel_offers() -> None:
    """The list is the kernel's, which is in the patches."""
    patches = [path.read_text() for path in (CHECKOUT / "kconfigs/rex/patches").glob("*.patch")]
    found = re.findall(r"^\+REX_SYMBOL\((\w+), ", "".join(patches), re.M)
    names = {f"rex_{name}" for name in found}
    assert rust_image.allowed_symbols(Workspace.default().crate) == names | {"rex_panic"}
