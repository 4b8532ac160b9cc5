// SPDX-License-Identifier: GPL-2.0-only
//! The attributes that make a function a program and a static a map.
//!
//! The generated code contains `unsafe`, which an extension must not use. So only names and
//! types of the extension may get inside it.
extern crate proc_macro;

mod item;
mod plain;

use proc_macro::TokenStream;

use item::{Arguments, Flaw, Function, Static};

/// A type of program.
struct Kind {
    attribute: &'static str,
    /// The kind of its targets.
    target: &'static str,
    /// The name of its context's type.
    context: &'static str,
    /// The name of its number in `::rex::expansion`.
    prog_type: &'static str,
    /// An expression: the value that the hook gets if the program is ended early.
    default: &'static str,
}

macro_rules! programs {
    ($(
        $(#[$doc:meta])*
        $name:ident $target:literal $context:literal $kind:ident $default:expr;
    )*) => { $(
        $(#[$doc])*
        #[proc_macro_attribute]
        pub fn $name(arguments: TokenStream, function: TokenStream) -> TokenStream {
            let kind = Kind {
                attribute: stringify!($name),
                target: $target,
                context: $context,
                prog_type: stringify!($kind),
                default: stringify!($default),
            };
            program(&kind, arguments, function).unwrap_or_else(Flaw::tokens)
        }
    )* };
}

programs! {
    /// `#[rex_kprobe("function")]`: run at the function's entry, or at an instruction
    /// `function+0x10` in it.
    rex_kprobe "kprobe" "Kprobe" BPF_PROG_TYPE_KPROBE 0;
    /// `#[rex_kretprobe("function")]`: run when the function returns.
    rex_kretprobe "kretprobe" "Kprobe" BPF_PROG_TYPE_KPROBE 0;
    /// `#[rex_tracepoint("category/name")]`: run at a tracepoint.
    rex_tracepoint "tracepoint" "Tracepoint" BPF_PROG_TYPE_TRACEPOINT 0;
    /// `#[rex_raw_tracepoint("name")]`: run at a tracepoint, with its raw arguments.
    rex_raw_tracepoint "raw_tracepoint" "RawTracepoint" BPF_PROG_TYPE_RAW_TRACEPOINT 0;
    /// `#[rex_perf_event("software/cpu-clock@100")]`: run at each sample of a perf event.
    rex_perf_event "perf" "PerfEvent" BPF_PROG_TYPE_PERF_EVENT 0;
    /// `#[rex_xdp]` or `#[rex_xdp("device")]`: run for each packet that a device's driver
    /// receives.
    rex_xdp "xdp" "Xdp" BPF_PROG_TYPE_XDP ::rex::expansion::XDP_PASS;
    /// `#[rex_tc]` or `#[rex_tc("device/ingress")]`: run for packets at traffic control.
    rex_tc "tc" "Tc" BPF_PROG_TYPE_SCHED_CLS 0;
}

fn program(kind: &Kind, arguments: TokenStream, input: TokenStream) -> Result<TokenStream, Flaw> {
    let arguments = Arguments::parse(arguments)?;
    let function = Function::parse(kind.attribute, input.clone())?;
    let default = arguments.number.map_or(kind.default.to_string(), |number| number.to_string());
    let attach = match &arguments.text {
        Some(text) => format!("{}:{text}", kind.target),
        None => String::new(),
    };
    let (name, context) = (&function.name, kind.context);
    let entry = format!(
        "const _: () = {{
            const _: () = ::core::assert!(
                <__REX_CONTEXT__ as ::rex::expansion::Context>::PROG_TYPE
                    == ::rex::expansion::{},
                \"#[{}] needs a function of &{context}\",
            );
            extern \"C\" fn __rex_entry(__rex_raw: *mut ::rex::expansion::c_void) -> u64 {{
                let mut __rex_context =
                    unsafe {{ <__REX_CONTEXT__ as ::rex::expansion::Context>::from_raw(__rex_raw) }};
                ::rex::expansion::Returns::<__REX_CONTEXT__>::code(
                    {name}(&mut __rex_context)
                )
            }}
            #[unsafe(link_section = \".rex.progs\")]
            #[unsafe(export_name = \"rex_prog.{name}\")]
            static __REX_ENTRY: ::rex::expansion::ProgEntry = ::rex::expansion::ProgEntry::new(
                ::rex::expansion::{}, {default},
                <__REX_CONTEXT__ as ::rex::expansion::Context>::CTX_SIZE,
                __rex_entry, \"{name}\", {attach:?},
            );
        }};",
        kind.prog_type, kind.attribute, kind.prog_type,
    );
    let mut output = input;
    output.extend(function.with_context(&entry)?);
    Ok(output)
}

/// `#[rex_map]` before a static makes it a map, which the loader creates. The map has the
/// static's name in lower case.
#[proc_macro_attribute]
pub fn rex_map(arguments: TokenStream, input: TokenStream) -> TokenStream {
    map(arguments, input).unwrap_or_else(Flaw::tokens)
}

fn map(arguments: TokenStream, input: TokenStream) -> Result<TokenStream, Flaw> {
    Arguments::none(arguments, "rex_map")?;
    Static::parse(input)?.as_map()
}

/// `#[rex_plain]` before a structure makes it plain: it can be read from packets, records
/// and maps. Its fields must be plain and must leave no gaps.
#[proc_macro_attribute]
pub fn rex_plain(arguments: TokenStream, input: TokenStream) -> TokenStream {
    Arguments::none(arguments, "rex_plain")
        .and_then(|()| plain::plain(input))
        .unwrap_or_else(Flaw::tokens)
}
