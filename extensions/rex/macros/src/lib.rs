// SPDX-License-Identifier: GPL-2.0-only
//! The attributes that make a program of a function and a map of a static.
//!
//! What they write contains `unsafe`, which an extension may not: so nothing of the
//! extension's gets inside of it but names and types.
extern crate proc_macro;

mod item;
mod plain;

use proc_macro::TokenStream;

use item::{Arguments, Flaw, Function, Static};

/// A type of program: the attribute, its targets' kind, the context's name, what the hook
/// gets from a program that was ended.
struct Kind {
    attribute: &'static str,
    target: &'static str,
    context: &'static str,
    prog_type: u32,
    default: i32,
}

macro_rules! programs {
    ($($(#[$doc:meta])* $name:ident $target:literal $context:literal $kind:literal $default:literal;)*) => { $(
        $(#[$doc])*
        #[proc_macro_attribute]
        pub fn $name(arguments: TokenStream, function: TokenStream) -> TokenStream {
            let kind = Kind {
                attribute: stringify!($name),
                target: $target,
                context: $context,
                prog_type: $kind,
                default: $default,
            };
            program(&kind, arguments, function).unwrap_or_else(Flaw::tokens)
        }
    )* };
}

programs! {
    /// `#[rex_kprobe("function")]`: runs where the function, or an instruction
    /// `function+0x10` in it, is reached.
    rex_kprobe "kprobe" "Kprobe" 2 0;
    /// `#[rex_kretprobe("function")]`: runs where the function returns.
    rex_kretprobe "kretprobe" "Kprobe" 2 0;
    /// `#[rex_tracepoint("category/name")]`: runs at a tracepoint.
    rex_tracepoint "tracepoint" "Tracepoint" 5 0;
    /// `#[rex_raw_tracepoint("name")]`: runs at a tracepoint, with its raw arguments.
    rex_raw_tracepoint "raw_tracepoint" "RawTracepoint" 17 0;
    /// `#[rex_perf_event("software/cpu-clock@100")]`: runs at a perf event's samples.
    rex_perf_event "perf" "PerfEvent" 7 0;
    /// `#[rex_xdp]` or `#[rex_xdp("device")]`: runs for each packet that a device's driver
    /// receives.
    rex_xdp "xdp" "Xdp" 6 2;
    /// `#[rex_tc]` or `#[rex_tc("device/ingress")]`: runs for packets at traffic control.
    rex_tc "tc" "Tc" 3 0;
}

fn program(kind: &Kind, arguments: TokenStream, input: TokenStream) -> Result<TokenStream, Flaw> {
    let arguments = Arguments::parse(arguments)?;
    let function = Function::parse(kind.attribute, input.clone())?;
    let default = arguments.number.unwrap_or(kind.default);
    let attach = match &arguments.text {
        Some(text) => format!("{}:{text}", kind.target),
        None => String::new(),
    };
    let (name, context) = (&function.name, kind.context);
    let entry = format!(
        "const _: () = {{
            const _: () = ::core::assert!(
                <__REX_CONTEXT__ as ::rex::expansion::Context>::PROG_TYPE == {},
                \"#[{}] wants a function of &{context}\",
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
                {}, {default}, <__REX_CONTEXT__ as ::rex::expansion::Context>::CTX_SIZE,
                __rex_entry, \"{name}\", {attach:?},
            );
        }};",
        kind.prog_type, kind.attribute, kind.prog_type,
    );
    let mut output = input;
    output.extend(function.with_context(&entry)?);
    Ok(output)
}

/// `#[rex_map]` before a static: a map, which the loader makes. Its name is the static's,
/// in small letters.
#[proc_macro_attribute]
pub fn rex_map(arguments: TokenStream, input: TokenStream) -> TokenStream {
    map(arguments, input).unwrap_or_else(Flaw::tokens)
}

fn map(arguments: TokenStream, input: TokenStream) -> Result<TokenStream, Flaw> {
    Arguments::none(arguments, "rex_map")?;
    Static::parse(input)?.as_map()
}

/// `#[rex_plain]` before a structure: its bytes are all there is to it, so that it can be
/// read out of packets, records and maps. Its fields have to be plain, and to leave no gap.
#[proc_macro_attribute]
pub fn rex_plain(arguments: TokenStream, input: TokenStream) -> TokenStream {
    Arguments::none(arguments, "rex_plain")
        .and_then(|()| plain::plain(input))
        .unwrap_or_else(Flaw::tokens)
}
